"""The virtual-time driver of the engine: guests in lockstep, as fast as they get.

The same network, captures and control commands as the real-time loop; in place of a clock there are the guests'
reports. Time runs to the next stop (somebody waits for a time to change something there, or the end), and no further
until everybody who waits for it has let it go. Guests can be asked only while time stands: what they are given then,
they get at exactly that time.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from swarmrig.model.network import PortKind
from swarmrig.net.engine import Engine
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.timebase import protocol
from swarmrig.timebase.coordinator import NEVER, Coordinator
from swarmrig.timebase.distance import Distances, least_latencies, links_as_they_are
from swarmrig.timebase.guest import Guest
from swarmrig.timebase.holders import Holders
from swarmrig.timebase.lookout import Lookout
from swarmrig.timebase.patience import STEP_S, Patience
from swarmrig.timebase.placement import Placement
from swarmrig.timebase.protocol import Gone, Hello, Message, Report, Stopped
from swarmrig.timebase.questions import ABSENT, Questions
from swarmrig.timebase.recording import SUFFIX, InputLog
from swarmrig.timebase.stepping import Stepping
from swarmrig.timebase.stops import Stops

GRAIN_NS = 16
"""Length of an instruction: -icount shift=4."""
CONSOLE_LIMIT = 1 << 20
"""Console bytes of a guest that may wait for the rig; beyond, virtual time stands until it has taken them."""

Frames = Sequence[tuple[int, bytes]]


class VirtualLoop:
    """Runs the engine and its guests until `stopped`; has the interface of net.loop.FabricLoop."""

    _make_coordinator: ClassVar[Callable[..., Coordinator]] = Coordinator

    def __init__(self, engine: Engine, captures: Mapping[str, CaptureWriter], directory: Path) -> None:
        """`directory`: where the inputs of the guests are recorded."""
        self.engine = engine
        self.captures = captures
        self.stopped = False
        self.failure: str | None = None
        self.guests: dict[str, Guest] = {}
        self._directory = directory
        self._epoll = select.epoll()
        self._by_fd: dict[int, Guest] = {}
        self._others: dict[int, Callable[[int], None]] = {}
        self._coordinator: Coordinator | None = None
        self._questions: Questions | None = None
        self._lookout = Lookout(engine, self._on_seen)
        self._hold_with(Stops())
        self._patience = Patience()
        self._placement = Placement()
        self._latencies = least_latencies(engine)
        self._messages = 0
        self._in_order: tuple[Guest, ...] = ()
        self._flooded = False

    @property
    def patience_s(self) -> float:
        """How long a Python node may take for what it does, by this machine's clock."""
        return self._patience.limit_s

    def close(self) -> None:
        for guest in self.guests.values():
            guest.disconnect("the run is over")
            guest.inputs.close()
        self._epoll.close()

    def watch(self, fd: int, events: int, react: Callable[[int], None]) -> None:
        """Call `react(events)` when a foreign descriptor (the control socket) is ready."""
        self._others[fd] = react
        self._epoll.register(fd, events)

    def rewatch(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def attach(self, device: str, fd: int) -> None:
        """Connect a device's lockstep channel, which now belongs to the loop: before time runs, or again for a guest
        that is off, while time stands."""
        guest, coordinator = self.guests.get(device), self._coordinator
        if self.engine.plan.device(device).port is not PortKind.LOCKSTEP or (guest is None) is not (
            coordinator is None
        ):
            raise ValueError(f"device {device} cannot be attached in virtual time")
        if guest is None:
            inputs = InputLog(self._directory / f"{device}{SUFFIX}")
            guest = self.guests[device] = Guest(len(self.guests), device, inputs, self._lookout.line)
            self.engine.collect(device, guest.inbox)
        elif guest.alive or coordinator is None or not coordinator.standing:
            raise ValueError(f"{device} is on" if guest.alive else "time does not stand still")
        guest.connect(fd, self.now_ns())
        self._by_fd[fd] = guest
        self._epoll.register(fd, select.EPOLLIN)
        if coordinator is not None:
            coordinator.revive(guest.index, self.now_ns())

    def detach(self, device: str) -> None:
        """Let go of a guest: its emulator has been killed, and whoever did it knows."""
        guest = self.guest(device)
        if guest.alive:
            self._lose(guest)
        guest.unreported = False

    def whereabouts(self, device: str) -> dict[str, Any]:
        """See `Guest.whereabouts`. The rig knows how it ended, if it did; its last words may be in its socket yet."""
        guest = self.guest(device)
        while guest.alive and guest.is_heard:
            self._read(guest)
        guest.unreported = False
        return guest.whereabouts()

    def end_guests(self) -> None:
        """Have every guest's emulator end in order."""
        for guest in self.guests.values():
            if guest.alive:
                guest.parted = True
                guest.send(protocol.END)

    def start(self, start_ns: int) -> None:
        """Nothing to do: virtual time begins with `go`."""

    def go(self, end_ns: int, waiters: int, stepping: Stepping) -> None:
        """Let time run up to `end_ns` once `waiters` stops are known and every guest has greeted."""
        self._stops.expect(waiters, end_ns)
        self._patience.limit_s = stepping.patience_s
        self._in_order = tuple(self.guests.values())
        inboxes = [(guest.device, guest.inbox) for guest in self._in_order]
        self._coordinator = self._make_coordinator(
            self.engine,
            inboxes,
            self._distances(),
            end_ns,
            grain_ns=GRAIN_NS,
            quantum_ns=stepping.quantum_ns,
            at_once=len(os.sched_getaffinity(0)) + 1,
        )
        self._questions = Questions(self._coordinator)
        for guest in self.guests.values():
            if guest.greeted:
                self._coordinator.report(guest.index, 0, 0, ())
            if not guest.alive:
                self._coordinator.remove(guest.index)

    def _hold_with(self, stops: Stops) -> None:
        self._stops = stops
        self.holders = Holders(stops, self._lookout, lambda: self._front_ns)

    def when_standing(self, action: Callable[[int], None]) -> None:
        """Call `action(now)` while time stands: everything before that has happened, and nothing after."""

        def act(now_ns: int) -> None:
            action(now_ns)
            self._heed_latencies()

        if self.failure is None:
            self._stops.act(self._front_ns, act)
        else:
            act(self.now_ns())

    def now_ns(self) -> int:
        """Everything before this has happened and is recorded."""
        return 0 if self._coordinator is None else min(self._coordinator.floor_ns, self._coordinator.barrier_ns)

    @property
    def _front_ns(self) -> int:
        """Nobody has passed this."""
        return 0 if self._coordinator is None else max(self._coordinator.front_ns, self.now_ns())

    def _on_seen(self, token: int, t_ns: int) -> None:
        """What somebody waits for has become known; nobody is past `t_ns`, see the coordinator."""
        assert self._coordinator is not None
        if t_ns < self._coordinator.front_ns:
            self._fail(f"virtual time was violated: a stop for {t_ns} ns came too late")
        self._stops.move(token, t_ns)
        self._coordinator.set_barrier(self._stops.barrier_ns)

    def _heed_latencies(self) -> None:
        """Lookahead follows the links."""
        latencies = least_latencies(self.engine)
        if latencies != self._latencies and self._coordinator is not None:
            self._latencies = latencies
            self._coordinator.set_distances(self._distances())

    def _distances(self) -> Distances:
        return Distances(links_as_they_are(self.engine), list(self.guests))

    @property
    def questions(self) -> Questions:
        """What guests can be asked. ValueError when they cannot be: time has not begun, or cannot go on."""
        if self._questions is None or self.failure is not None:
            raise ValueError(self.failure or "time has not begun")
        return self._questions

    def let_go(self, device: str) -> None:
        """Its machine goes on, as if nothing had been."""
        if self._questions is not None:
            self._questions.let_go(self.guest(device))

    def guest(self, device: str) -> Guest:
        """ValueError when it is none."""
        if device not in self.guests:
            raise ValueError(f"{device} is no guest in virtual time")
        return self.guests[device]

    def settle(self, deadline_ns: int, done: Callable[[bool], None]) -> None:
        """Let what is under way arrive, with no guest to answer it; say whether nothing is by the deadline."""
        done(self.engine.run_dry(deadline_ns))

    def flush(self) -> None:
        """Write everything recorded so far to the captures."""
        for capture in self.captures.values():
            capture.flush()

    def run(self) -> None:
        """Live until `stopped`."""
        while not self.stopped:
            ready = self._epoll.poll(0 if self._busy else STEP_S)
            self._begin_round()
            for fd, events in ready:
                self._serve(fd, events)
            self._go_on()
            if self._coordinator is not None:
                self._placement.review(self._messages, self._coordinator.rounds, self._coordinator.at_work)
            if self._patience.is_over():
                self._name_hanging()
        self.flush()

    def _begin_round(self) -> None:
        """There is no clock to look at."""

    def _serve(self, fd: int, events: int) -> None:
        if fd in self._by_fd:
            self._patience.heard()
            self._read(self._by_fd[fd])
        elif fd in self._others:  # else it was let go of in this very round
            self._others[fd](events)

    @property
    def _busy(self) -> bool:
        """Is there more to do, whoever reports? Not while somebody holds time, nor once it cannot go on."""
        coordinator = self._coordinator
        return coordinator is not None and self._stops.known and self.failure is None and coordinator.busy

    def statistics(self) -> dict[str, Any]:
        """See `Fabric.statistics`; `console` has the guests' lines, too, `unfinished` those that have not ended, and
        captures are flushed."""
        self.flush()
        guests, statistics = self.guests.values(), self.engine.statistics()
        statistics["console"] |= {guest.device: lines for guest in guests if (lines := guest.take_lines())}
        statistics |= {
            # What nobody has heard of yet, the end of a guest, is not over for the rig.
            "now_ns": min(self.now_ns(), *(guest.seen_ns for guest in guests if guest.unreported), NEVER),
            "cpu_s": time.process_time(),
            "messages": self._messages,
            "devices": {guest.device: {"attached": guest.alive, "pc": guest.pc} for guest in guests},
            "unfinished": {guest.device: rest for guest in guests if guest.alive and (rest := guest.unfinished)},
            "capture_error": "; ".join(self._file_failures()) or None,
            "failure": self.failure,
        }
        self._flooded = False
        self._go_on()
        return statistics

    def _file_failures(self) -> Iterator[str]:
        yield from (capture.failure for capture in self.captures.values() if capture.failure is not None)
        yield from (guest.inputs.failure for guest in self.guests.values() if guest.inputs.failure is not None)

    def _go_on(self) -> None:
        """Grant what can be granted; at a stop, tell those who wait for it, and go on if that was all they wanted."""
        while self._takes_a_step():
            pass

    def _takes_a_step(self) -> bool:
        """Time stood, and need not any more: there is more to grant."""
        coordinator, questions = self._coordinator, self._questions
        if coordinator is None or questions is None or self.failure is not None or not self._stops.known:
            return False
        if self._flooded:
            return False
        if not questions.open:
            coordinator.set_barrier(self._stops.barrier_ns)
        try:
            coordinator.settle()
            coordinator.watching = self._lookout.busy
            granted = coordinator.grants()
            for grant in granted:
                self._in_order[grant.guest].grant(grant.horizon_ns, grant.inputs)
        except AssertionError as error:
            self._fail(f"virtual time was violated: {error}")
            return False
        if granted:
            self._patience.heard()
        if coordinator.standing:
            self._serve_stop(coordinator)
            return self._stops.known and not questions.open and self._stops.barrier_ns > coordinator.barrier_ns
        if not granted and coordinator.stuck:
            self._fail(f"nobody may go on at {self.now_ns()} ns: is there a link without latency?")
        return False

    def _serve_stop(self, coordinator: Coordinator) -> None:
        now_ns = self.now_ns()
        for action in self._stops.take_actions(now_ns):
            action(now_ns)
        self._stops.tell_guests(now_ns)
        if coordinator.arrived:
            self._stops.tell(now_ns)

    def _fail(self, reason: str) -> None:
        """The run is not exact, and does not go on."""
        self.failure = self.failure or reason
        for action in self._stops.take_actions(NEVER):
            action(self.now_ns())
        for guest in self.guests.values():
            guest.refuse_all(reason)

    def _name_hanging(self) -> None:
        """Silence has lasted too long: for whoever was to report."""
        self._patience.heard()
        coordinator = self._coordinator
        if coordinator is None or self.failure is not None:
            return
        late = [guest for guest in self.guests.values() if guest.alive and not guest.halted]
        words = [guest.last_seen for guest in late if coordinator.is_running(guest.index)]
        if words:
            self._fail(f"no sign of life for {self._patience.limit_s:g} s: {'; '.join(words)}")

    def _read(self, guest: Guest) -> None:
        try:
            messages = guest.receive()
        except protocol.ProtocolError as error:
            self._fail(f"{guest.device}: {error}")
            messages = None
        for message in messages or ():
            self._messages += 1
            self._take(guest, message)
        if messages is None:
            self._lose(guest)

    def _take(self, guest: Guest, message: Message) -> None:
        if isinstance(message, Report):
            self._hear(guest, message)
        elif isinstance(message, Hello):
            self._greet(guest, message)
        elif isinstance(message, Gone):
            guest.parted = True
            frames = guest.hear(message.last)
            if self._coordinator is not None:
                self._coordinator.transmit(guest.index, frames)
        elif isinstance(message, Stopped):
            guest.stop(message)

    def _greet(self, guest: Guest, hello: Hello) -> None:
        guest.greeted = True
        if guest.pid and hello.api:  # else who speaks is no emulator, and may be the rig itself
            self._placement.add(guest.pid)
        self._welcome(guest, hello)

    def _welcome(self, guest: Guest, hello: Hello) -> None:
        if hello.grain_ns > GRAIN_NS:
            self._fail(f"{guest.device}: an instruction takes {hello.grain_ns} ns, more than {GRAIN_NS}")
        guest.send(protocol.WELCOME)
        if self._coordinator is not None:
            self._report(guest, guest.offset_ns, guest.offset_ns, ())

    def _hear(self, guest: Guest, report: Report) -> None:
        frames = guest.hear(report)
        self._flooded = self._flooded or guest.waiting_bytes > CONSOLE_LIMIT
        if report.violated:
            self._fail(f"{guest.device} was {report.overshoot} ns past a boundary at {guest.seen_ns} ns")
        assert self._coordinator is not None
        if not report.expects_answer:
            self._coordinator.transmit(guest.index, frames)
            return
        deadline = None if report.deadline >= NEVER else report.deadline + guest.offset_ns
        self._report(guest, guest.seen_ns, deadline, frames)

    def _report(self, guest: Guest, now_ns: int, deadline_ns: int | None, frames: Frames) -> None:
        assert self._coordinator is not None and self._questions is not None
        self._coordinator.report(guest.index, now_ns, deadline_ns, frames)
        self._questions.has_reported(guest)

    def _lose(self, guest: Guest) -> None:
        """The guest's emulator is gone; time goes on without it."""
        self._epoll.unregister(guest.socket.fileno())
        del self._by_fd[guest.socket.fileno()]
        self._placement.remove(guest.pid)
        guest.disconnect(ABSENT)
        if self._coordinator is not None and self._questions is not None:
            self._coordinator.remove(guest.index)
            self._questions.has_gone(guest)
