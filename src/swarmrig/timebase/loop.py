"""The virtual-time driver of the engine: guests in lockstep, as fast as they get.

The same network, captures and control commands as the real-time loop; in place of a clock there are the guests'
reports. Time runs to the next stop (somebody waits for a time to change something there, or the end), and no further
until everybody who waits for it has let it go.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from swarmrig.errors import SwarmrigError
from swarmrig.model.network import PortKind
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.timebase import protocol
from swarmrig.timebase.coordinator import NEVER, Coordinator, Grant
from swarmrig.timebase.distance import Distances
from swarmrig.timebase.protocol import Decoder, Flag, Gone, Hello, Report
from swarmrig.timebase.recording import SUFFIX, InputLog

RECEIVE = 16_384
"""Bytes a receive: a larger buffer costs more to hand out than it saves."""
GRAIN_NS = 16
"""Length of an instruction: -icount shift=4."""
CONSOLE_LIMIT = 4 << 20
"""Console bytes that may wait for the rig; beyond, virtual time stands until it has taken them."""


class GuestError(SwarmrigError):
    """A guest broke the rules of virtual time, so the run is not exact."""


class GuestChannel:
    """One guest: its socket, what it has said, and whether it still lives."""

    def __init__(self, device: str, fd: int, inputs: InputLog) -> None:
        self.device = device
        self.socket = socket.socket(fileno=fd)
        self.inputs = inputs
        self.now = 0
        self.decoder = Decoder()
        self.inbox = Agenda()
        self.alive = True
        self.greeted = False
        self.pc = 0
        self.lines: list[tuple[int, str]] = []
        self.waiting_bytes = 0
        self._part = b""

    def hear(self, report: Report) -> None:
        """Keep the console lines; one that a report cut goes on with the next."""
        self.now, self.pc = report.now, report.pc
        for line in report.console:
            self._part += line.data
            if line.complete:
                self._end_line(line.t)

    def hear_rest(self, t_ns: int) -> None:
        """The guest has ended: so has its last line."""
        if self._part:
            self._end_line(t_ns)

    def take_lines(self) -> list[tuple[int, str]]:
        lines, self.lines, self.waiting_bytes = self.lines, [], 0
        return lines

    def _end_line(self, t_ns: int) -> None:
        self.waiting_bytes += len(self._part)
        text = self._part.decode("utf-8", "surrogateescape")
        self.lines.append((t_ns, text.removesuffix("\n")))
        self._part = b""


class VirtualLoop:
    """Runs the engine and its guests until `stopped`; has the interface of net.loop.FabricLoop."""

    def __init__(self, engine: Engine, captures: Mapping[str, CaptureWriter], directory: Path) -> None:
        """`directory`: where the inputs of the guests are recorded."""
        self.engine = engine
        self.captures = captures
        self._directory = directory
        self.stopped = False
        self.failure: str | None = None
        self.guests: list[GuestChannel] = []
        self._epoll = select.epoll()
        self._by_fd: dict[int, tuple[int, GuestChannel]] = {}
        self._others: dict[int, Callable[[int], None]] = {}
        self._coordinator: Coordinator | None = None
        self._end_ns = 0
        self._expected = 0
        self._stops: dict[int, tuple[int, Callable[[int], None] | None]] = {}
        self._messages = 0

    def close(self) -> None:
        for guest in self.guests:
            guest.socket.close()
            guest.inputs.end(guest.now)
            guest.inputs.close()
        self._epoll.close()

    def watch(self, fd: int, events: int, react: Callable[[int], None]) -> None:
        """Call `react(events)` when a foreign descriptor (the control socket) is ready."""
        self._others[fd] = react
        self._epoll.register(fd, events)

    def rewatch(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def attach(self, device: str, fd: int) -> None:
        """Connect a device's lockstep channel, which now belongs to the loop."""
        if self.engine.plan.device(device).port is not PortKind.LOCKSTEP or self._coordinator is not None:
            raise ValueError(f"device {device} cannot be attached in virtual time")
        guest = GuestChannel(device, fd, InputLog(self._directory / f"{device}{SUFFIX}"))
        guest.inputs.begin(0)
        self.engine.collect(device, guest.inbox)
        self._by_fd[fd] = (len(self.guests), guest)
        self.guests.append(guest)
        self._epoll.register(fd, select.EPOLLIN)

    def start(self, start_ns: int) -> None:
        """Nothing to do: virtual time begins with `go`."""

    def go(self, end_ns: int, waiters: int) -> None:
        """Let time run up to `end_ns` once `waiters` stops are known and every guest has greeted."""
        names = [guest.device for guest in self.guests]
        inboxes = [(guest.device, guest.inbox) for guest in self.guests]
        self._end_ns = end_ns
        self._expected = waiters
        distances = Distances(self.engine.plan, names)
        self._coordinator = Coordinator(self.engine, inboxes, distances, end_ns, grain_ns=GRAIN_NS)
        for index, guest in enumerate(self.guests):
            if guest.greeted:
                self._coordinator.report(index, 0, 0, ())
            if not guest.alive:
                self._coordinator.remove(index)

    def reach(self, token: int, t_ns: int, done: Callable[[int], None]) -> None:
        """Stop at `t_ns` (at once, if that is past), call `done(now)`, and stay until the token reaches on or goes."""
        self._stops[token] = (max(t_ns, self.now_ns()), done)

    def release(self, token: int) -> None:
        """The holder of the token wants no further stop."""
        self._stops.pop(token, None)
        self._expected -= 1

    def now_ns(self) -> int:
        """Everything before this has happened and is recorded."""
        if self._coordinator is None:
            return 0
        return min(self._coordinator.floor_ns, self._barrier_ns())

    def change_ns(self) -> int:
        """The time of a change that is made now."""
        return self.now_ns()

    def end_guests(self) -> None:
        """Have every guest's emulator end in order."""
        for guest in self.guests:
            if guest.alive:
                self._send(guest, protocol.END)

    def settle(self, deadline_ns: int, done: Callable[[bool], None]) -> None:  # noqa: ARG002 - no clock to run out
        """Let what is under way arrive, with no guest to answer it, and say so."""
        engine = self.engine
        while engine.frames_under_way():
            engine.advance_one()
            if not engine.frames_under_way():
                engine.advance(engine.now_ns)  # and what Python nodes do about it at that instant
        done(True)

    def flush(self) -> None:
        """Write everything recorded so far to the captures."""
        for capture in self.captures.values():
            capture.flush()

    def run(self) -> None:
        """Live until `stopped`."""
        while not self.stopped:
            for fd, events in self._epoll.poll():
                known = self._by_fd.get(fd)
                if known is None:
                    self._others[fd](events)
                else:
                    self._read(*known)
            self._go_on()
        self.flush()

    def statistics(self) -> dict[str, Any]:
        """See `Fabric.statistics`; `console` has the guests' lines, too, and captures are flushed."""
        self.flush()
        nodes = self.engine.nodes
        console = {name: lines for name, node in nodes.items() if (lines := node.take_console())}
        console |= {guest.device: lines for guest in self.guests if (lines := guest.take_lines())}
        statistics = {
            "now_ns": self.now_ns(),
            "cpu_s": time.process_time(),
            "messages": self._messages,
            "links": {name: wire.counters() for name, wire in self.engine.wires.items()},
            "devices": {guest.device: {"attached": guest.alive, "pc": guest.pc} for guest in self.guests},
            "routers": {router.name: {"forwarded": router.forwarded, "drops": router.drops}
                        for router in self.engine.routers},
            "nodes": {name: node.report() for name, node in nodes.items()},
            "node_failures": {name: node.failure for name, node in nodes.items() if node.failure is not None},
            "console": console,
            "capture_error": "; ".join(self._file_failures()) or None,
            "failure": self.failure,
        }  # fmt: skip
        self._go_on()  # the console may have been what held it up
        return statistics

    def _file_failures(self) -> Iterator[str]:
        yield from (capture.failure for capture in self.captures.values() if capture.failure is not None)
        yield from (guest.inputs.failure for guest in self.guests if guest.inputs.failure is not None)

    def _barrier_ns(self) -> int:
        return min((t_ns for t_ns, _ in self._stops.values()), default=self._end_ns)

    def _go_on(self) -> None:
        """Grant what can be granted; at a stop, tell those who wait for it."""
        coordinator = self._coordinator
        if coordinator is None or len(self._stops) < self._expected or self.failure is not None:
            return
        if sum(guest.waiting_bytes for guest in self.guests) > CONSOLE_LIMIT:
            return
        coordinator.set_barrier(self._barrier_ns())
        try:
            for grant in coordinator.grants():
                self._grant(grant)
        except AssertionError as error:
            self.failure = f"virtual time was violated: {error}"
            return
        if coordinator.arrived:
            self._tell_arrival(self._barrier_ns())

    def _tell_arrival(self, now_ns: int) -> None:
        for token, (t_ns, done) in list(self._stops.items()):
            if t_ns <= now_ns and done is not None:
                self._stops[token] = (t_ns, None)
                done(now_ns)

    def _grant(self, grant: Grant) -> None:
        guest = self.guests[grant.guest]
        commands = [protocol.frame(*one) for one in grant.inputs]
        guest.inputs.add(commands)
        self._send(guest, protocol.grant(grant.horizon_ns, commands))

    def _send(self, guest: GuestChannel, data: bytes) -> None:
        with suppress(OSError):  # its end is read, too, and handled there
            guest.socket.sendall(data)

    def _read(self, index: int, guest: GuestChannel) -> None:
        try:
            data = guest.socket.recv(RECEIVE)
            messages = guest.decoder.feed(data) if data else []
        except OSError:
            data, messages = b"", []
        except protocol.ProtocolError as error:
            self.failure = f"{guest.device}: {error}"
            data, messages = b"", []
        for message in messages:
            self._messages += 1
            if isinstance(message, Report):
                self._hear(index, guest, message)
            elif isinstance(message, Hello):
                self._greet(index, guest, message)
            elif isinstance(message, Gone):
                guest.hear(message.last)
        if not data:
            self._lose(index, guest)

    def _greet(self, index: int, guest: GuestChannel, hello: Hello) -> None:
        guest.greeted = True
        if hello.grain_ns > GRAIN_NS:
            self.failure = f"{guest.device}: an instruction takes {hello.grain_ns} ns, more than {GRAIN_NS}"
        self._send(guest, protocol.WELCOME)
        if self._coordinator is not None:
            self._coordinator.report(index, 0, 0, ())

    def _hear(self, index: int, guest: GuestChannel, report: Report) -> None:
        guest.hear(report)
        if report.flags & Flag.VIOLATED:
            self.failure = f"{guest.device} was {report.overshoot} ns past a boundary at {report.now} ns"
        assert self._coordinator is not None
        if report.expects_answer:
            deadline = None if report.deadline >= NEVER else report.deadline
            self._coordinator.report(index, report.now, deadline, report.frames)
        else:
            self._coordinator.transmit(index, report.frames)

    def _lose(self, index: int, guest: GuestChannel) -> None:
        """The guest's emulator is gone; time goes on without it."""
        guest.alive = False
        guest.inputs.end(guest.now)
        guest.hear_rest(self.now_ns())
        self._epoll.unregister(guest.socket.fileno())
        del self._by_fd[guest.socket.fileno()]
        guest.socket.close()
        if self._coordinator is not None:
            self._coordinator.remove(index)
