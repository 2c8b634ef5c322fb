"""One guest alone: lives again what it lived, from the inputs that were recorded, without network or partners.

What a guest does depends on its image, its seed and its inputs with their times; not on how far it is allowed to run
at once. So it needs no coordinator here: it is granted time in steps, each with the inputs that belong into it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from swarmrig.errors import SwarmrigError
from swarmrig.timebase import protocol
from swarmrig.timebase.lines import LineJoiner
from swarmrig.timebase.protocol import Decoder, Gone, Hello, Message, ProtocolError, Report, Stopped
from swarmrig.timebase.recording import Input


class SoloError(SwarmrigError):
    """The guest did not keep to the protocol, or ended when it should not."""


STEP_NS = 1_000_000_000
"""Virtual time a grant."""
_RECEIVE = 1 << 16


@dataclass(slots=True)
class Output:
    """What a guest said and sent, with its own times."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    """Console lines without their newline."""
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    joiner: LineJoiner = field(default_factory=LineJoiner)

    def hear(self, report: Report) -> None:
        self.frames += report.frames
        self.lines += [(t_ns, line.removesuffix(b"\n")) for t_ns, line in self.joiner.feed(report.console)]

    def finish(self, now_ns: int) -> None:
        """The last line ends with the guest."""
        rest = self.joiner.take_rest()
        if rest:
            self.lines.append((now_ns, rest))


class SoloGuest:
    """Drives one guest over its lockstep channel, whose rig side `sock` is."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = Decoder()
        self._messages: list[Message] = []
        self.now_ns = 0
        self.pc = 0
        self.gone = False
        """Its emulator has ended: switched off by the guest, or killed, perhaps by a debugger."""
        self.output = Output()

    async def greet(self) -> None:
        """Meet the guest, which stands before its first instruction."""
        hello = await self._next()
        if not isinstance(hello, Hello):
            raise SoloError("its emulator ended before it began" if hello is None else "it does not greet")
        await self._send(protocol.WELCOME + protocol.grant(0))
        await self._until_report()

    async def live(self, until_ns: int, inputs: Sequence[Input]) -> None:
        """Let it live to `until_ns` with these inputs, all later than what it was given before; less, if it ends."""
        for horizon_ns, commands in _steps(self.now_ns, until_ns, inputs):
            if self.gone:
                return
            await self._send(protocol.grant(horizon_ns, commands))
            await self._until_report()

    async def hold(self) -> None:
        """Stop the machine where it is: the emulator's monitor and debugger stub answer now."""
        await self._send(protocol.HOLD)
        while not self.gone:
            message = await self._next()
            if isinstance(message, Stopped):
                self.now_ns, self.pc = message.now, message.pc
                return

    async def until_continued(self) -> None:
        """Return when a debugger has let the machine go on (or has ended it)."""
        await self._until_report()

    async def end(self) -> None:
        """Have the emulator end."""
        if not self.gone:
            await self._send(protocol.END)
            while not self.gone:
                await self._next()

    async def _until_report(self) -> None:
        """Until the guest waits for an answer, or has ended. Stops at breakpoints are nobody's business here."""
        while not self.gone:
            message = await self._next()
            if isinstance(message, Report):
                self._hear(message)
                if message.expects_answer:
                    return
            elif isinstance(message, Gone):
                self._hear(message.last)

    def _hear(self, report: Report) -> None:
        if report.violated:
            raise SoloError(f"it passed a boundary at {report.now} ns: its life is not exact")
        self.now_ns, self.pc = report.now, report.pc
        self.output.hear(report)

    async def _next(self) -> Message | None:
        """The next message; None when the guest is gone."""
        while not self._messages:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, _RECEIVE)
            except OSError:
                data = b""
            if not data:
                self.gone = True
                return None
            try:
                self._messages = self._decoder.feed(data)
            except ProtocolError as error:
                raise SoloError(error.message, hint=error.hint) from error
        return self._messages.pop(0)

    async def _send(self, data: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError:
            self.gone = True


def _steps(start_ns: int, until_ns: int, inputs: Sequence[Input]) -> Iterator[tuple[int, list[bytes]]]:
    """Horizons up to `until_ns`, each with the inputs up to it."""
    at = 0
    horizon_ns = start_ns
    while horizon_ns < until_ns or (at < len(inputs) and inputs[at].t_ns <= until_ns):
        horizon_ns = min(horizon_ns + STEP_NS, until_ns)
        commands = []
        while at < len(inputs) and inputs[at].t_ns <= horizon_ns:
            commands.append(inputs[at].command)
            at += 1
        yield horizon_ns, commands
