"""The real-time driver of the engine: one thread, epoll and a timer.

Each round: live through what is due, then stamp and take in what devices have sent. So run times never go back,
neither in the engine nor in a capture.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.net.attachments import Attachments
from swarmrig.net.engine import Engine
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.timer import Timer
from swarmrig.net.watchdog import PATIENCE_S

FLUSH_NS = 200_000_000
FLUSH_FRAMES = 256
SETTLE_CHECK_S = 0.002
COALESCE_NS = 200_000
"""Under load what is due is handed over at most this often, so that a wake-up is worth its price: so much later than
modelled may a device get a frame. It does not add up over hops, for these are stamped with the modelled times."""


class FabricLoop:
    """Runs the engine of one network until `stopped` is set by a command."""

    def __init__(self, engine: Engine, captures: Mapping[str, CaptureWriter]) -> None:
        self.engine = engine
        self.captures = captures
        self.start_ns: int | None = None
        self.stopped = False
        self.patience_s = PATIENCE_S
        """How long a Python node may take for what it does, by this machine's clock."""
        self._epoll = select.epoll()
        self._timer = Timer()
        self._armed_ns: int | None = None
        self._fired = False
        """The timer has fired and was not set since: it must be, before epoll may block."""
        self._attachments = Attachments(self._epoll)
        self._others: dict[int, Callable[[int], None]] = {}
        self._round_ns = 0
        self._flush_due_ns = 0
        self._advanced_ns = -COALESCE_NS
        self._unflushed = 0
        self._dirty = False
        self._settling: list[tuple[int, Callable[[bool], None]]] = []
        self._epoll.register(self._timer.fileno(), select.EPOLLIN)

    def close(self) -> None:
        self._attachments.close()
        self._timer.close()
        self._epoll.close()

    def watch(self, fd: int, events: int, react: Callable[[int], None]) -> None:
        """Call `react(events)` when a foreign descriptor (the control socket) is ready."""
        self._others[fd] = react
        self._epoll.register(fd, events)

    def rewatch(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def attach(self, device: str, fd: int) -> None:
        """Connect a device to the descriptor, which now belongs to the loop; a former one is closed."""
        kind, engine = self.engine.plan.device(device).port, self.engine
        port = self._attachments.attach(device, kind, fd, engine.egress(device), engine.ingress(device))
        engine.attach(device, port.deliver)

    def start(self, start_ns: int) -> None:
        """Let time run: `start_ns` is the reading of CLOCK_MONOTONIC at run time 0, which is not in the future."""
        if self.start_ns is not None:
            raise ValueError("the network runs already")
        if start_ns > time.monotonic_ns():
            raise ValueError("a network cannot be started for a time to come")
        self.start_ns = start_ns
        self._attachments.begin()

    def now_ns(self) -> int:
        """Run time; 0 before the start."""
        return 0 if self.start_ns is None else time.monotonic_ns() - self.start_ns

    def when_standing(self, action: Callable[[int], None]) -> None:
        """Call `action(now)`: what is due up to then has happened, and nothing after."""
        action(self._round_ns)

    def settle(self, deadline_ns: int, done: Callable[[bool], None]) -> None:
        """Call `done(True)` once nothing is under way or unread, `done(False)` at the deadline (run time)."""
        self._settling.append((deadline_ns, done))

    def flush(self) -> None:
        """Write everything recorded so far to the captures."""
        for capture in self.captures.values():
            capture.flush()
        self._unflushed = 0
        self._dirty = False

    def capture_errors(self) -> list[str]:
        return [capture.failure for capture in self.captures.values() if capture.failure is not None]

    def run(self) -> None:
        """Live until `stopped`."""
        while not self.stopped:
            ready = self._epoll.poll(self._wait())
            now = -1 if self.start_ns is None else time.monotonic_ns() - self.start_ns
            self._round_ns = max(now, 0)
            self._round(now, ready)
        self.flush()

    def _round(self, now: int, ready: list[tuple[int, int]]) -> None:
        heap = self.engine.agenda.heap
        busy = bool(heap) and heap[0][0] <= now
        if busy:
            self._advance(now)
        frames = self._take_in(now, ready)
        if frames or busy:
            self._unflushed += frames
            if heap and heap[0][0] <= now:  # links without latency
                self._advance(now)
            if not self._dirty:
                self._dirty = True
                self._flush_due_ns = now + FLUSH_NS
        if self._dirty and (self._unflushed >= FLUSH_FRAMES or now >= self._flush_due_ns):
            self.flush()
        self._attachments.watch_backlogs()
        if self._settling:
            self._check_settled(now, idle=not frames)

    def _take_in(self, now: int, ready: list[tuple[int, int]]) -> int:
        """Serve what is ready; returns how many frames came in."""
        frames, serve = 0, self._attachments.serve
        for fd, events in ready:
            taken = serve(fd, events, now)
            if taken < 0:
                self._react(fd, events)
            else:
                frames += taken
        return frames

    def _advance(self, now: int) -> None:
        self.engine.advance(now)
        self._advanced_ns = now

    def _check_settled(self, now: int, idle: bool) -> None:
        settled = idle and not self.engine.frames_under_way()
        waiting, self._settling = self._settling, []
        for deadline_ns, done in waiting:
            if settled or now >= deadline_ns:
                done(settled)
            else:
                self._settling.append((deadline_ns, done))

    def _wait(self) -> float | None:
        """How long epoll may block; the timer is armed for what is due while it does."""
        if self.start_ns is None:
            return None
        heap = self.engine.agenda.heap
        due = max(heap[0][0], self._advanced_ns + COALESCE_NS) if heap else None
        if self._dirty and (due is None or due > self._flush_due_ns):
            due = self._flush_due_ns
        if due is None:
            if self._fired:
                self._timer.set(0)
                self._fired = False
        elif due <= time.monotonic_ns() - self.start_ns:
            return 0
        elif self._armed_ns is None or due < self._armed_ns:
            self._timer.set(self.start_ns + due)
            self._armed_ns = due
            self._fired = False
        return SETTLE_CHECK_S if self._settling else None

    def _react(self, fd: int, events: int) -> None:
        if fd == self._timer.fileno():
            self._armed_ns = None
            self._fired = True
        elif fd in self._others:  # else it was let go of in this very round
            self._others[fd](events)

    def statistics(self) -> dict[str, Any]:
        """See `Fabric.statistics`."""
        return {
            **self.engine.statistics(),
            "now_ns": self.now_ns(),
            "cpu_s": time.process_time(),
            "devices": self._attachments.counters(),
            "capture_error": "; ".join(self.capture_errors()) or None,
        }
