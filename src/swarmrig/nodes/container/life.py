"""One life of a container, from its start to its end: its output, its place in the network, its exit."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from swarmrig.api.nodes import ExitStatus, LaunchContext
from swarmrig.errors import HostError, NodeError
from swarmrig.nodes.background import background
from swarmrig.nodes.console import Console, open_console
from swarmrig.nodes.container.attachment import attached
from swarmrig.nodes.container.configuration import STOP_S
from swarmrig.nodes.container.engine import ANSWER_S, asking, reaching
from swarmrig.nodes.container.gate import Gate
from swarmrig.nodes.container.health import wait_until_healthy
from swarmrig.nodes.container.options import FABRIC, ContainerOptions, Health

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer
    from aiodocker.stream import Stream

STOP_DEADLINE_S = STOP_S + ANSWER_S
START_S = 60.0
"""An engine under load takes seconds to start a container; one that hangs is told."""
CHUNK = 64 << 10
TAIL_BYTES = 4096
_SIGNALLED = 128
"""An engine reports who was killed by signal n as exit code 128 + n."""


@dataclass(frozen=True, slots=True)
class Place:
    """A container that has been made, with what its lives need."""

    client: Docker
    container: DockerContainer
    engine: Path
    context: LaunchContext
    options: ContainerOptions
    gate: Gate | None = None
    """Holds its program back until it is in the network."""

    @property
    def node(self) -> str:
        return self.context.device.name


class Life:
    """Made by `living`."""

    def __init__(self, place: Place, console: Console) -> None:
        self.place = place
        self.console = console
        self.namespace: int | None = None
        """Its network namespace, while it is joined to the fabric."""
        self.pid = 0
        self._tail = bytearray()
        self._verdict = ""
        self._exit: asyncio.Task[ExitStatus]
        self._output: asyncio.Task[None]
        self._well: asyncio.Task[None]

    @property
    def has_ended(self) -> bool:
        return self._exit.done()

    async def unfit(self) -> None:
        """Return when it has ended. NodeError as soon as it is found not to be well."""
        await asyncio.wait([self._exit, self._well], return_when=asyncio.FIRST_COMPLETED)
        if not self._exit.done():
            await asyncio.wait([self._exit]) if self._well.exception() is None else self._well.result()

    async def ended(self) -> ExitStatus:
        """How it ended; all that it said has been passed on then. EngineLostError when nobody can know."""
        await asyncio.wait([self._exit])
        status = self._exit.result()
        with anyio.move_on_after(ANSWER_S):
            await asyncio.wait([self._output])
        self.console.drain()
        return status

    def last_words(self) -> str:
        """What the engine says of its end, and the last lines of its output."""
        lines = self._tail.decode("utf-8", "replace").splitlines()[-20:]
        return "\n".join([*filter(None, [self._verdict]), *lines])

    async def kill(self) -> None:
        """SIGKILL; nothing happens when it has just ended."""
        with suppress(NodeError), asking(self.place.node, self.place.engine, "it cannot be killed"):
            with anyio.fail_after(ANSWER_S):
                await self.place.container.kill(signal="SIGKILL")

    async def stop(self) -> None:
        """See that it ends: SIGTERM, then SIGKILL."""
        if self.has_ended and not self._exit.cancelled() and self._exit.exception() is None:
            return
        # What does not work here is done by force when it is removed, or, without its engine, by the guardian.
        with suppress(NodeError, HostError), asking(self.place.node, self.place.engine, "it cannot be stopped"):
            with anyio.fail_after(STOP_DEADLINE_S):
                await self.place.container.stop(t=STOP_S)
                await asyncio.wait([self._exit])

    async def _stop_shielded(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()
            if self._exit.done() and not self._exit.exception():
                await self.ended()

    async def _begin(self, stack: AsyncExitStack, stream: Stream, line: socket.socket) -> None:
        self._output = await stack.enter_async_context(background(self._pass_output(stream, line)))
        await stack.enter_async_context(background(_pass_input(line, stream)))
        await self._start()
        self._exit = await stack.enter_async_context(background(self._watch_exit()))
        self._well = await stack.enter_async_context(background(self._watch_health()))
        if self.place.options.network == FABRIC:
            self.namespace = await stack.enter_async_context(attached(self.place.context, self.pid))
        if self.place.gate is not None:
            self.place.gate.let_go()
        stack.push_async_callback(self._stop_shielded)  # it says goodbye to others while it still can

    async def _start(self) -> None:
        place = self.place
        if place.gate is not None:
            place.gate.shut()
        with asking(place.node, place.engine, "it cannot be started"), anyio.fail_after(START_S):
            await place.container.start()
            state = (await place.container.show())["State"]
        self.pid = int(state.get("Pid") or 0)

    async def _watch_exit(self) -> ExitStatus:
        place = self.place
        with asking(place.node, place.engine, "it cannot be waited for"):
            code = int((await place.container.wait())["StatusCode"])
            state = (await place.container.show())["State"]
        if state.get("OOMKilled"):
            self._verdict = "killed for want of memory: it reached its limit"
        elif state.get("Error"):
            self._verdict = str(state["Error"])
        return exit_status(code)

    async def _watch_health(self) -> None:
        place = self.place
        deadline_ns = (place.options.health or Health.model_construct(command=())).deadline
        if await wait_until_healthy(place.client, place.engine, place.node, place.container, deadline_ns):
            place.context.on_ready()

    async def _pass_output(self, stream: Stream, line: socket.socket) -> None:
        """Through a socket, so that it is read, logged and stalled as every console is."""
        loop = asyncio.get_running_loop()
        with suppress(OSError, HostError), reaching(self.place.engine):
            while (message := await stream.read_out()) is not None:
                self._tail += message.data
                del self._tail[:-TAIL_BYTES]
                await loop.sock_sendall(line, message.data)
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)


async def _pass_input(line: socket.socket, stream: Stream) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError, RuntimeError, AssertionError):  # whatever aiodocker finds when the container has ended
        while data := await loop.sock_recv(line, CHUNK):
            await stream.write_in(data)


@asynccontextmanager
async def living(place: Place) -> AsyncIterator[Life]:
    """Start the container; ended when the context is. NodeError with the engine's words when it cannot be started."""
    node, context = place.node, place.context
    async with AsyncExitStack() as stack:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            stack.enter_context(end)
            end.setblocking(False)
        log = context.directory / "console.log"
        console = stack.enter_context(
            open_console(node, ours, log, lambda chunk: context.on_console(node, context.now_ns(), chunk))
        )
        with asking(node, place.engine, "its output cannot be read"):
            stream = place.container.attach(stdin=True, stdout=True, stderr=True)
            await stack.enter_async_context(stream)  # type: ignore[arg-type]  # its exit takes no None
        life = Life(place, console)
        await life._begin(stack, stream, theirs)
        try:
            yield life
        finally:
            life.namespace = None
    if console.failure:
        raise HostError(f"the console of {node} could not be logged on: {console.failure.strerror}")


def exit_status(code: int) -> ExitStatus:
    """From an engine's exit code."""
    try:
        return ExitStatus(None, signal.Signals(code - _SIGNALLED))
    except ValueError:
        return ExitStatus(code, None)
