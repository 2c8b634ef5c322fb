"""Where a Python host lives that no swarm holds: its driver advances it step by step."""

from __future__ import annotations

import heapq
from collections import deque

from swarmrig.api.steppable import StepResult, Timer
from swarmrig.net.link import Agenda


class Alone:
    """The place of a host that lives nowhere: what it does is kept for whoever advances it."""

    def __init__(self) -> None:
        self.inputs: deque[tuple[int, bytes]] = deque()
        self.result = StepResult([], [])
        self.agenda = Agenda()

    def send(self, t_ns: int, frame: bytes) -> None:
        self.result.frames.append((t_ns, frame))

    def say(self, t_ns: int, line: str) -> None:
        self.result.console.append((t_ns, line))

    def push(self, timer: Timer) -> None:
        self.agenda.push(timer, _nobody)

    def cancel(self, timer: Timer) -> None:
        self.agenda.cancel(timer)

    def next_ns(self) -> int | None:
        """When something is due."""
        heap = self.agenda.heap
        while heap and heap[0][3].callback is None:
            heapq.heappop(heap)
        times = [each[0][0] for each in (heap, self.inputs) if each]
        return min(times, default=None)

    def take_due(self, t_ns: int) -> Timer | None:
        """The next timer that is due then; None when there is none."""
        heap = self.agenda.heap
        return heapq.heappop(heap)[3] if heap and heap[0][0] <= t_ns else None

    def take_timers(self) -> list[Timer]:
        """All that are pending, in order."""
        timers = [entry[3] for entry in sorted(self.agenda.heap, key=lambda entry: entry[:2])]
        self.agenda = Agenda()
        return [timer for timer in timers if timer.callback is not None]


def _nobody(t_ns: int, timer: object) -> None:
    """Who advances a host makes its calls."""
