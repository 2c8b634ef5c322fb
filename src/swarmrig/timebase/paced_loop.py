"""The driver of paced time: guests in lockstep, held to this machine's clock, and devices that live by that clock.

Between two things that happen it sleeps. What a device outside sends is read at once, and stamped with the next slice
(see PacedCoordinator); what is sent to one is written when the clock reaches its time.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from heapq import heappop
from pathlib import Path
from typing import Any, ClassVar

from swarmrig.net.attachments import KINDS, Attachments
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.timer import Timer
from swarmrig.timebase.coordinator import NEVER, Coordinator
from swarmrig.timebase.distance import Distances, links_as_they_are
from swarmrig.timebase.loop import VirtualLoop
from swarmrig.timebase.pace import Pace
from swarmrig.timebase.paced_coordinator import PacedCoordinator


class _Entrance:
    """Where the frames of a device outside enter; the time that they are read at is not the one they get."""

    def __init__(self, device: str, enter: Callable[[str, bytes], None]) -> None:
        self._device = device
        self._enter = enter

    def send(self, t_ns: int, frame: bytes) -> None:  # noqa: ARG002
        self._enter(self._device, frame)


class PacedLoop(VirtualLoop):
    """As `VirtualLoop`, with devices outside."""

    _make_coordinator: ClassVar[Callable[..., Coordinator]] = PacedCoordinator
    _coordinator: PacedCoordinator | None

    def __init__(self, engine: Engine, captures: Mapping[str, CaptureWriter], directory: Path) -> None:
        super().__init__(engine, captures, directory)
        self._outside = [device.name for device in engine.plan.devices if device.port in KINDS]
        self._inboxes = {device: Agenda() for device in self._outside}
        for device, inbox in self._inboxes.items():
            engine.collect(device, inbox)
        self._attachments = Attachments(self._epoll)
        self._pace = Pace()
        self._on_begun: list[Callable[[int], None]] = []
        self._timer = Timer()
        self._armed_ns: int | None = None
        self.watch(self._timer.fileno(), select.EPOLLIN, self._ring)

    def close(self) -> None:
        self._attachments.close()
        self._timer.close()
        super().close()

    def attach(self, device: str, fd: int) -> None:
        """As of any loop; also devices outside, at any time. The descriptor then belongs to the loop, and a former one
        is closed."""
        if device not in self._inboxes:
            super().attach(device, fd)
            return
        kind, engine = self.engine.plan.device(device).port, self.engine
        self._attachments.attach(device, kind, fd, _Entrance(device, self._enter), engine.ingress(device))

    def when_begun(self, done: Callable[[int], None]) -> None:
        """Call `done` with the reading of CLOCK_MONOTONIC at run time 0, once that has been."""
        if self._pace.origin_ns is None:
            self._on_begun.append(done)
        else:
            done(self._pace.origin_ns)

    def settle(self, deadline_ns: int, done: Callable[[bool], None]) -> None:
        """As of any loop, and those outside get what is theirs at once."""

        def hand_over(settled: bool) -> None:
            self._hand_over(NEVER)
            done(settled)

        super().settle(deadline_ns, hand_over)

    def statistics(self) -> dict[str, Any]:
        """As of any loop; `pace` tells how well it keeps up, see `Pace`."""
        statistics = super().statistics()
        statistics["devices"] |= self._attachments.counters()
        lost = 0 if self._coordinator is None else self._coordinator.lost
        return statistics | {"pace": {**self._pace.statistics(), "lost": lost}}

    def _distances(self) -> Distances:
        return Distances(links_as_they_are(self.engine), list(self.guests), self._outside)

    def _enter(self, device: str, frame: bytes) -> None:
        assert self._coordinator is not None  # nothing is read before time has begun
        self._coordinator.enter(device, frame)

    def _begin_round(self) -> None:
        coordinator, pace = self._coordinator, self._pace
        if coordinator is None or pace.origin_ns is None:
            return
        standing = coordinator.standing
        ended = standing and coordinator.barrier_ns >= self._stops.end_ns
        held = standing or any(guest.alive and not guest.greeted for guest in self._in_order)
        reached_ns = NEVER if ended else min(coordinator.next_ns, coordinator.barrier_ns)
        coordinator.heed(pace.follow(time.monotonic_ns(), reached_ns, held=held))

    def _begin(self) -> None:
        """Once everybody stands before the first instruction, and it is known where time has to stop."""
        if self._coordinator is None or not self._coordinator.idle or not self._stops.known:
            return
        origin_ns = time.monotonic_ns()
        self._pace.begin(origin_ns)
        self._attachments.begin()
        waiting, self._on_begun = self._on_begun, []
        for done in waiting:
            done(origin_ns)
        self._begin_round()

    def _serve(self, fd: int, events: int) -> None:
        if self._attachments.serve(fd, events, self._pace.clock_ns) < 0:
            super()._serve(fd, events)

    def _go_on(self) -> None:
        if self._pace.origin_ns is None:
            self._begin()
        super()._go_on()
        if self._coordinator is not None and self._pace.origin_ns is not None:
            self._hand_over(min(self._pace.clock_ns, self._coordinator.barrier_ns - 1))
            self._attachments.watch_backlogs()
            self._set_alarm(self._coordinator)

    def _hand_over(self, until_ns: int) -> None:
        """Give those outside what is due for them."""
        ports, pace = self._attachments.ports, self._pace
        for device, inbox in self._inboxes.items():
            while inbox.heap and inbox.heap[0][0] <= until_ns:
                due_ns, _, _, frame = heappop(inbox.heap)
                port = ports.get(device)
                if port is not None and port.attached:
                    pace.hand_over(due_ns)
                    port.deliver(max(due_ns, self.engine.now_ns), frame)

    def _set_alarm(self, coordinator: PacedCoordinator) -> None:
        """For the next time at which the clock lets something happen."""
        dues = [inbox.heap[0][0] for inbox in self._inboxes.values() if inbox.heap]
        wake_ns = min([coordinator.wake_ns(), *(due for due in dues if due > self._pace.clock_ns)])
        at_ns = 0 if wake_ns >= NEVER else (self._pace.origin_ns or 0) + wake_ns
        if at_ns != self._armed_ns:
            self._timer.set(at_ns)
            self._armed_ns = at_ns

    def _ring(self, _: int) -> None:
        """It is read by being set anew."""
        self._armed_ns = None
