"""Who may run how far when there is an outside: devices that live by this machine's clock.

What comes from them gets the time of the next slice of the clock, the *edge*. So nothing from outside is earlier than
the edge, and guests may run until it could reach them: that far they are ahead of the clock, and what they send is
ready when it is due. A stop is reached when the clock has got there, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush
from typing import Any

from swarmrig.timebase.coordinator import NEVER, Coordinator
from swarmrig.timebase.pace import LEAD_NS, next_slice_ns, reaching_ns

WAITING_LIMIT = 20_000
"""Frames from outside that may wait for virtual time; beyond, they are lost."""


class PacedCoordinator(Coordinator):
    """As `Coordinator`; time stands at 0 until the clock is heeded."""

    _alone = False

    def __init__(self, *details: Any, **settings: Any) -> None:
        super().__init__(*details, **settings)
        self._clock_ns = self._edge_ns = self._limit_ns = 0
        self._entered = 0
        self.lost = 0
        """Frames from outside for which there was no room."""

    @property
    def standing(self) -> bool:
        return self._clock_ns >= self._barrier_ns and super().standing

    @property
    def idle(self) -> bool:
        """Is nobody running?"""
        return not any(guest.running for guest in self._guests)

    @property
    def stuck(self) -> bool:
        return super().stuck and self.wake_ns() == NEVER

    def heed(self, clock_ns: int) -> None:
        """It is that time outside. The clock never goes back."""
        self._clock_ns = clock_ns
        self._edge_ns = next_slice_ns(clock_ns)
        self._limit_ns = self._edge_ns + LEAD_NS

    def enter(self, device: str, frame: bytes) -> None:
        """A device outside transmits."""
        if len(self._sends) > WAITING_LIMIT:
            self.lost += 1
            return
        self._entered += 1
        heappush(self._sends, (self._edge_ns, len(self._guests), self._entered, device, frame))

    def wake_ns(self) -> int:
        """When the clock next lets something happen that it prevents now; NEVER when it prevents nothing."""
        return min((t_ns for t_ns in self._wakes() if t_ns > self._clock_ns), default=NEVER)

    def _wakes(self) -> Iterator[int]:
        barrier_ns = self._barrier_ns
        yield barrier_ns
        due = self._engine.next_ns()
        if due is not None and due < barrier_ns:
            yield reaching_ns(due)
        if self._sends and self._sends[0][0] < barrier_ns:
            yield reaching_ns(self._sends[0][0] + 1)
        nearest = self._distances.from_outside
        for guest in self._guests:
            if guest.running or guest.now_ns >= barrier_ns:
                continue
            # The horizon must be later than when it acts; to the barrier, it runs with nothing to do.
            horizon_ns = min(guest.base_ns + 1, barrier_ns)
            yield reaching_ns(horizon_ns - min(LEAD_NS, nearest[guest.index]))
