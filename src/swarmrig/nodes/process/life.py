"""One life of a program, from its start to its end: its place, its output, its readiness, its exit."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import ExitStatus, LaunchContext
from swarmrig.errors import HostError
from swarmrig.net.interface import Tap
from swarmrig.nodes.background import background
from swarmrig.nodes.console import Console, open_console
from swarmrig.nodes.process.keeping import KILL_S, Keeping, Room, keeping, order_of
from swarmrig.nodes.process.options import Limits, NetworkPlace, ProcessOptions
from swarmrig.nodes.process.readiness import Sayings, wait_until_ready
from swarmrig.nodes.programs import find_program
from swarmrig.nodes.settings import addresses_of, place_variables

CHUNK = 64 << 10
TAIL_BYTES = 4096
DRAIN_S = 5.0
"""How long the end of the output is waited for, once the program has ended."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the lives of one node need."""

    options: ProcessOptions
    context: LaunchContext

    @property
    def node(self) -> str:
        return self.context.device.name

    @property
    def working_dir(self) -> Path:
        return self.options.working_dir.absolute()

    def order(self, argv: tuple[str, ...]) -> Mapping[str, Any]:
        """To run a program as this node does. NodeError when there is none."""
        program = find_program(self.node, argv, self.options.working_dir, self.options.environment)
        told = {**place_variables(self.context), "SWARMRIG_DIRECTORY": str(self.context.directory.absolute())}
        environment = self.context.spawner.environment({**self.options.environment, **told})
        return order_of(program, argv, environment, self.working_dir, limits_of(self.options.limits))


@dataclass(frozen=True, slots=True)
class Pipes:
    """Between a program and its console. The program has pipes (what is called /dev/stdout cannot be opened when it is
    a socket), the console a socket, so that it is read, logged and stalled as every console is."""

    line: socket.socket
    """The console's other end."""
    output: int
    """Where the program's output is read."""
    typed: int
    """Where its input is written."""


class Life:
    """Made by `living`."""

    def __init__(self, place: Place, keeper: Keeping, console: Console, pipes: Pipes, sayings: Sayings | None) -> None:
        self.place = place
        self.keeper = keeper
        self.console = console
        self._pipes = pipes
        self._sayings = sayings
        self._tail = bytearray()
        self._output: asyncio.Task[None]
        self._exit: asyncio.Task[ExitStatus]
        self._well: asyncio.Task[None]

    @property
    def has_ended(self) -> bool:
        return self.keeper.process.exit_status is not None

    async def unfit(self) -> None:
        """See nodes.power.Life: it is not ready in time."""
        await asyncio.wait([self._exit, self._well], return_when=asyncio.FIRST_COMPLETED)
        if not self._exit.done():
            await asyncio.wait([self._exit]) if self._well.exception() is None else self._well.result()

    async def ready(self) -> None:
        """Return when it is ready, as far as the scenario says how to see that. NodeError when it is not in time."""
        await asyncio.wait([self._well])
        self._well.result()

    async def ended(self) -> ExitStatus:
        """See nodes.power.Life."""
        status = await self.keeper.wait()
        with anyio.move_on_after(DRAIN_S):
            await asyncio.wait([self._output])
        self.console.drain()
        return status

    async def kill(self) -> None:
        self.keeper.kill()

    def last_words(self) -> str:
        """The last lines of its output, and what its keeper had to say."""
        lines = self._tail.decode("utf-8", "replace").splitlines()[-20:]
        return "\n".join([*lines, *filter(None, [self.keeper.process.last_words()])])

    async def _begin(self, stack: AsyncExitStack) -> None:
        place, keeper = self.place, self.keeper
        self._output = await stack.enter_async_context(background(self._pass_output()))
        await stack.enter_async_context(background(self._pass_input()))
        self._exit = await stack.enter_async_context(background(keeper.wait()))
        if keeper.interface is not None:
            try:
                await place.context.network.attach(place.node, keeper.interface)
            finally:
                os.close(keeper.interface)
        await keeper.start(place.order(place.options.command))
        self._well = await stack.enter_async_context(background(self._watch_readiness()))

    async def _watch_readiness(self) -> None:
        place, ready = self.place, self.place.options.ready
        if ready is not None:
            await wait_until_ready(ready, self.keeper, self._sayings, place.working_dir, place.order)
            place.context.on_ready()

    async def _pass_output(self) -> None:
        loop, output, line = asyncio.get_running_loop(), self._pipes.output, self._pipes.line
        with suppress(OSError):
            while True:
                try:
                    chunk = os.read(output, CHUNK)
                except BlockingIOError:
                    await anyio.wait_readable(output)
                    continue
                if not chunk:
                    break
                self._tail += chunk
                del self._tail[:-TAIL_BYTES]
                await loop.sock_sendall(line, chunk)

    async def _pass_input(self) -> None:
        loop, typed, line = asyncio.get_running_loop(), self._pipes.typed, self._pipes.line
        with suppress(OSError):  # it reads no longer
            while data := await loop.sock_recv(line, CHUNK):
                while data:
                    try:
                        data = data[os.write(typed, data) :]
                    except BlockingIOError:
                        await anyio.wait_writable(typed)


@asynccontextmanager
async def living(place: Place) -> AsyncIterator[Life]:
    """Start the program, joined to its network; it and everything that it started has ended when the context has.

    NodeError or HostError when it cannot be started.
    """
    node, context = place.node, place.context
    ready = place.options.ready
    sayings = Sayings(ready.log) if ready is not None and ready.log is not None else None

    def on_output(chunk: bytes) -> None:
        context.on_console(node, context.now_ns(), chunk)
        if sayings is not None:
            sayings.feed(chunk)

    async with AsyncExitStack() as stack:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            stack.enter_context(end)
            end.setblocking(False)
        console = stack.enter_context(open_console(node, ours, context.directory / "console.log", on_output))
        with ExitStack() as far_ends:
            output, stdout = _pipe(stack, far_ends)
            stdin, typed = _pipe(far_ends, stack)
            os.set_blocking(output, False)
            os.set_blocking(typed, False)
            errors = context.directory / "stderr.log"
            keeper = await stack.enter_async_context(
                keeping(context.spawner, node, _room(place), stdin=stdin, stdout=stdout, stderr=errors)
            )
        life = Life(place, keeper, console, Pipes(theirs, output, typed), sayings)
        await life._begin(stack)
        try:
            yield life
        finally:
            with anyio.move_on_after(place.options.stop_timeout / 1e9 + KILL_S, shield=True):
                await keeper.hang_up()
                await life.ended()
    if console.failure:
        raise HostError(f"the console of {node} could not be logged on: {console.failure.strerror}")


def _pipe(reader: ExitStack | AsyncExitStack, writer: ExitStack | AsyncExitStack) -> tuple[int, int]:
    """Each end is closed by whoever it is for."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing


def _room(place: Place) -> Room:
    options, device = place.options, place.context.device
    return Room(
        isolated=options.network is not NetworkPlace.HOST,
        tap=Tap.of(device) if options.network is NetworkPlace.FABRIC else None,
        files=_files(place) if options.network is not NetworkPlace.HOST else None,
        forks=options.forks,
        term_s=options.stop_timeout / 1e9,
    )


def _files(place: Place) -> Mapping[str, Path]:
    """Names are those of the run, and no server is asked for others."""
    directory = place.context.spawner.scope.temporary_directory
    hosts, resolver = directory / f"hosts-{place.node}", directory / f"resolv-{place.node}"
    addresses = addresses_of(place.context.network.plan)
    hosts.write_text("".join(f"{ip} {name}\n" for name, ip in {"localhost": "127.0.0.1", **addresses}.items()))
    resolver.write_text("")
    return {"/etc/hosts": hosts, "/etc/resolv.conf": resolver}


def limits_of(limits: Limits | None) -> Mapping[int, int]:
    """By the numbers of setrlimit(2)."""
    if limits is None:
        return {}
    found = {
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_CPU: None if limits.cpu_time is None else -(-limits.cpu_time // 1_000_000_000),
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_size,
    }
    return {number: value for number, value in found.items() if value is not None}
