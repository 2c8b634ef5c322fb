"""A machine in virtual time: it runs in slices of one length, and is a guest of the coordinator.

Renode is asked for one slice at a time (`emulation RunFor`), at multiples of `step_ns`. What the machine says in one
has the time of its end; what reaches it, it hears at the beginning of the next slice. So what happens depends
on the step, but neither on how far the coordinator lets it run at a time nor on this machine's load.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import anyio

from swarmrig.errors import NodeError
from swarmrig.nodes.renode import memory, wording
from swarmrig.nodes.renode.errors import CommandError
from swarmrig.nodes.renode.monitor import Monitor
from swarmrig.nodes.renode.serial import bytes_of, frames_of
from swarmrig.timebase.guest_protocol import Decoder, Granted, Message, Order, hello, report, stopped
from swarmrig.timebase.protocol import NEVER, Command, Flag, Kind, Line, Reply

SLICE_S = 20.0
"""Wall time that one slice may take."""
SIGN_OF_LIFE_S = 2.0
"""A long way to a horizon is reported on this often."""
BYTE_NS = 86_806
"""A byte on a line with 115200 bit/s: the pace at which UARTs are given what was typed."""
RECEIVE = 1 << 16
KNOWN = (Command.CONSOLE, Command.WRITE, Command.XOR, Command.READ, Command.RESET, Command.PAUSE, Command.RESUME)
_ADDRESS = struct.Struct("<Q")
_PLACE = struct.Struct("<QI")


class Uart:
    """A UART that writes to a file, and is given bytes through the monitor."""

    def __init__(self, name: str, file: Path, step_ns: int) -> None:
        self.name = name
        self._file = file
        self._at = 0
        self._waiting: deque[int] = deque()
        self._per_slice = max(1, step_ns // BYTE_NS)

    def take(self) -> bytes:
        """What it has written since the last call; Renode has written it before it answers."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._at += len(data)
        return data

    def type(self, data: bytes) -> None:
        self._waiting.extend(data)

    async def give(self, monitor: Monitor) -> None:
        """What it gets in the next slice."""
        for _ in range(min(self._per_slice, len(self._waiting))):
            await monitor.execute(f"{self.name} WriteChar {self._waiting.popleft():#x}")


class Stepping:
    """Leads one machine. `run` is to be called once."""

    def __init__(
        self,
        node: str,
        monitor: Monitor,
        port: socket.socket,
        step_ns: int,
        mac: str,
        console: Uart,
        serial: Uart | None,
    ) -> None:
        self._node = node
        self._monitor = monitor
        self._port = port
        self._step_ns = step_ns
        self._mac = mac
        self._console = console
        self._serial = serial
        self._decoder = Decoder()
        self._messages: deque[Message] = deque()
        self._now_ns = 0
        self._paused = False
        self._frames: list[tuple[int, bytes]] = []
        self._lines: list[Line] = []
        self._replies: list[Reply] = []
        self._reported_s = 0.0
        self.failure: NodeError | None = None
        self.failed = anyio.Event()
        """The machine cannot go on, and `failure` says why."""

    async def run(self) -> None:
        """Live as the coordinator says, to the end of the channel or of the machine."""
        try:
            with self._port:
                self._port.setblocking(False)
                await self._live()
        except NodeError as error:
            self.failure = error
            self.failed.set()
        except OSError:
            return  # the network has ended before

    async def _live(self) -> None:
        commands = (Command.FRAME, *KNOWN) if self._serial else KNOWN
        await self._send(hello("renode", commands))
        while (message := await self._next_message()) is not None and message is not Kind.END:
            if isinstance(message, Granted):
                await self._perform(message)
            elif message is Kind.HOLD:
                await self._send(stopped(self._now_ns))
            elif message is Kind.RELEASE:
                await self._report(Flag.RESUMED)

    async def _perform(self, granted: Granted) -> None:
        self._reported_s = anyio.current_time()
        for order in granted.orders:
            await self._live_until(order.t_ns)
            await self._obey(order)
        await self._live_until(granted.horizon_ns)
        await self._report(Flag(0))

    async def _live_until(self, t_ns: int) -> None:
        while (end_ns := self._next_boundary_ns()) <= t_ns:
            if not self._paused:
                await self._run_slice()
            self._now_ns = end_ns
            self._collect(end_ns)
            if anyio.current_time() - self._reported_s > SIGN_OF_LIFE_S:
                self._reported_s = anyio.current_time()
                await self._report(Flag.MORE)
        self._now_ns = max(self._now_ns, t_ns)

    def _next_boundary_ns(self) -> int:
        return (self._now_ns // self._step_ns + 1) * self._step_ns

    async def _run_slice(self) -> None:
        for uart in self._uarts:
            await uart.give(self._monitor)
        await self._monitor.execute(f"emulation RunFor {wording.seconds(self._step_ns)}", deadline_s=SLICE_S)

    @property
    def _uarts(self) -> Sequence[Uart]:
        return (self._console,) if self._serial is None else (self._console, self._serial)

    def _collect(self, t_ns: int) -> None:
        *whole, part = self._console.take().split(b"\n")
        self._lines += [Line(t_ns, line + b"\n", True) for line in whole]
        if part:
            self._lines.append(Line(t_ns, part, False))
        if self._serial is not None:
            self._frames += [(t_ns, frame) for frame in frames_of(self._mac, self._serial.take())]

    async def _obey(self, order: Order) -> None:
        try:
            data, good = await self._done(order), True
        except (CommandError, ValueError) as error:
            data, good = str(error).encode(), False
        if order.tag:
            self._replies.append(Reply(order.t_ns, order.tag, good, data))

    async def _done(self, order: Order) -> bytes:
        """What the reply has."""
        kind, payload, execute = order.kind, order.payload, self._monitor.execute
        if kind is Command.FRAME and self._serial is not None:
            self._serial.type(bytes_of(payload))
        elif kind is Command.CONSOLE:
            self._console.type(payload)
        elif kind is Command.RESET:
            await execute("machine Reset")
        elif kind in (Command.PAUSE, Command.RESUME):
            self._paused = kind is Command.PAUSE
        elif kind is Command.READ:
            return await memory.read(self._node, execute, *_PLACE.unpack(payload))
        elif kind is Command.WRITE:
            await memory.write(execute, _ADDRESS.unpack_from(payload)[0], payload[_ADDRESS.size :])
        elif kind is Command.XOR:
            (address,) = _ADDRESS.unpack_from(payload)
            return b"".join(await memory.flip(self._node, execute, address, payload[_ADDRESS.size :]))
        else:
            raise ValueError(f"a machine in Renode has no {kind.name}")
        return b""

    async def _report(self, flags: Flag) -> None:
        deadline_ns = NEVER if self._paused else self._next_boundary_ns()
        flags |= Flag.PAUSED if self._paused else Flag.IDLE
        message = report(
            self._now_ns, deadline_ns, flags=flags, frames=self._frames, console=self._lines, replies=self._replies
        )
        self._frames, self._lines, self._replies = [], [], []
        await self._send(message)

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._port, data)

    async def _next_message(self) -> Message | None:
        while not self._messages:
            data = await asyncio.get_running_loop().sock_recv(self._port, RECEIVE)
            if not data:
                return None
            self._messages.extend(self._decoder.feed(data))
        return self._messages.popleft()
