"""The rig's end of a keeper: it is told what to do, and tells what has become of it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError, NodeError
from swarmrig.net.interface import Tap
from swarmrig.nodes.process.inside import LAUNCHER
from swarmrig.proc import Process, Spawner, StopLadder
from swarmrig.proc.channel import PeerGoneError, receive, send
from swarmrig.proc.client import PACKAGE_ROOT
from swarmrig.proc.failures import spawn_error

ANSWER_S = 20.0
KILL_S = 4.0
"""What the keeper may need, beyond the program's own time, to end everything."""
_CONTROL_FD = 3


@dataclass(frozen=True, slots=True)
class Room:
    """Where the program is to be."""

    isolated: bool = True
    """In a network namespace of its own."""
    tap: Tap | None = None
    """Its interface there."""
    files: Mapping[str, Path] | None = None
    """What it finds at these paths."""
    forks: bool = False
    term_s: float = 1.0

    def message(self) -> dict[str, Any]:
        tap = self.tap
        interface = tap and {"mac": tap.mac, "address": str(tap.address), "gateway": tap.gateway, "name": tap.name}
        return {
            "isolated": self.isolated,
            "interface": interface,
            "files": {path: str(content) for path, content in (self.files or {}).items()},
            "forks": self.forks,
            "term_s": self.term_s,
        }


class Keeping:
    """A keeper in its room. Made by `keeping`."""

    def __init__(self, node: str, process: Process, control: socket.socket) -> None:
        self.node = node
        self.process = process
        self.interface: int | None = None
        """The descriptor of the interface; whoever takes it closes it."""
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._asking = anyio.Lock()
        self._answer: asyncio.Future[tuple[Any, list[int]]] | None = None
        self._runs: dict[int, asyncio.Future[int | None]] = {}
        self._number = 0
        self._closed = False
        self._loop.add_reader(control, self._on_readable)

    async def start(self, order: Mapping[str, Any]) -> None:
        """Start the program. SpawnError or NodeError says why it cannot be started."""
        answer = await self._ask("start", dict(order))
        if answer[0] == "refused":
            _, number, stage = answer
            if stage == "limits":
                raise NodeError(self.node, f"limits: {os.strerror(number)}", hint="see what `ulimit -aH` permits")
            program, cwd = os.fsdecode(order["path"]), os.fsdecode(order["cwd"])
            raise spawn_error(self.node, program, cwd, order["argv"], number, stage)

    async def run(self, order: Mapping[str, Any]) -> int | None:
        """Run another program beside it; returns how it ended (a signal as a negative number), None when it could not
        be started, or when the keeper has ended."""
        self._number += 1
        number = self._number
        future: asyncio.Future[int | None] = self._loop.create_future()
        self._runs[number] = future
        try:
            self._send(("run", number, dict(order)))
            return await future
        except PeerGoneError:
            return None
        finally:
            del self._runs[number]

    async def pause(self) -> None:
        """Let everything stand still."""
        await self._ask("pause")

    async def resume(self) -> None:
        await self._ask("resume")

    def kill(self) -> None:
        """Everything, without warning."""
        with suppress(PeerGoneError):
            self._send(("kill",))

    async def hang_up(self) -> None:
        """The order to end, politely at first."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    async def wait(self) -> ExitStatus:
        return await self.process.wait()

    async def _enter(self, room: Room) -> None:
        (kind, *details), descriptors = await self._answered(("enter", room.message()))
        if kind == "failed":
            message, hint = details
            raise HostError(f"node {self.node}: {message}", hint=hint)
        self.interface = descriptors[0] if descriptors else None

    async def _ask(self, *message: Any) -> Any:
        answer, _ = await self._answered(message)
        return answer

    async def _answered(self, message: tuple[Any, ...]) -> tuple[Any, list[int]]:
        try:
            async with self._asking:
                self._answer = self._loop.create_future()
                with anyio.fail_after(ANSWER_S):
                    self._send(message)
                    return await self._answer
        except TimeoutError:
            raise NodeError(
                self.node, f"who keeps its program did not answer {message[0]!r} in {ANSWER_S:g} s"
            ) from None
        except PeerGoneError:
            raise await self._gone() from None
        finally:
            self._answer = None

    async def _gone(self) -> NodeError:
        with anyio.move_on_after(ANSWER_S):
            status = await self.process.wait()
            words = self.process.last_words()
            said = f"; its last words:\n{words}" if words else ""
            return NodeError(self.node, f"has ended ({status}){said}", log=str(self.process.stderr_path))
        return NodeError(self.node, "who keeps its program has hung up")

    def _send(self, message: Any) -> None:
        if self._closed:
            raise PeerGoneError
        send(self._control, message)

    def _on_readable(self) -> None:
        try:
            message, descriptors = receive(self._control)
        except BlockingIOError:
            return
        except PeerGoneError:
            self._close()
            return
        if message[0] == "ran":
            if (future := self._runs.get(message[1])) is not None and not future.done():
                future.set_result(message[2])
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result((message, descriptors))

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._control)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PeerGoneError())
            self._answer.exception()  # who asks may have noticed already, and awaits it no more
        for future in self._runs.values():
            if not future.done():
                future.set_result(None)


@asynccontextmanager
async def keeping(
    spawner: Spawner, node: str, room: Room, *, stdin: int | None, stdout: int | None, stderr: Path | None
) -> AsyncIterator[Keeping]:
    """A keeper that is in its room and waits for its program; in the end everything in the room has ended.

    HostError says what this machine does not permit.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(PACKAGE_ROOT), str(_CONTROL_FD)]
    async with AsyncExitStack() as stack:
        stack.enter_context(ours)
        ours.setblocking(False)
        ladder = StopLadder(polite_s=room.term_s + KILL_S)
        fds: dict[int, Any] = {_CONTROL_FD: theirs} | ({} if stdin is None else {0: stdin})

        async def hang_up() -> None:
            await keeper.hang_up()

        with theirs:
            process = await stack.enter_async_context(
                spawner.process(argv, name=node, fds=fds, stdout=stdout, stderr=stderr, polite=hang_up, stop=ladder)
            )
        keeper = Keeping(node, process, ours)
        stack.callback(keeper._close)
        await keeper._enter(room)
        yield keeper


def order_of(
    program: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path, limits: Mapping[int, int]
) -> Mapping[str, Any]:
    """As a keeper wants it."""
    return {
        "path": os.fsencode(program),
        "argv": [os.fsencode(word) for word in argv],
        "env": {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
        "cwd": os.fsencode(cwd),
        "limits": dict(limits),
    }
