"""When faults act and how long they last: a grid of round times within the run."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 40
"""A run has about so many times at which something may happen."""
_LASTS = (1, 2, 3, 5)
"""First digits of how long faults last."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Multiples of `step_ns`; everything heals a step before the end, so that it can be seen."""

    step_ns: int
    first_ns: int
    last_ns: int
    """The latest time at which something acts."""
    end_ns: int
    lasts_ns: tuple[int, ...]
    """How long faults last, the shortest first."""

    @property
    def times_ns(self) -> tuple[int, ...]:
        return tuple(range(self.first_ns, self.last_ns + 1, self.step_ns))

    def lasting(self, at_ns: int) -> tuple[int, ...]:
        """How long what acts then may last."""
        return tuple(ns for ns in self.lasts_ns if at_ns + ns < self.end_ns)

    def fitting(self, for_ns: int | None) -> tuple[int, ...]:
        """When something that lasts so long may act."""
        return tuple(at_ns for at_ns in self.times_ns if at_ns + (for_ns or 0) < self.end_ns)

    def simpler_times(self, at_ns: int) -> tuple[int, ...]:
        """Times that are easier to tell: rounder, or as round and earlier; the simplest first."""

        def roughness(ns: int) -> tuple[int, int]:
            return -trailing_zeros(ns), ns

        return tuple(sorted((ns for ns in self.times_ns if roughness(ns) < roughness(at_ns)), key=roughness))


def trailing_zeros(ns: int) -> int:
    """How round a time is."""
    text = str(ns)
    return len(text) - len(text.rstrip("0"))


def grid_of(duration_ns: int, from_ns: int | None = None, until_ns: int | None = None) -> Grid:
    """The grid of a run. ValueError when there is no room for a fault between `from_ns` and `until_ns`."""
    step = round_up(-(-duration_ns // STEPS))
    first = step if from_ns is None else -(-from_ns // step) * step
    until = duration_ns if until_ns is None else min(until_ns, duration_ns)
    last = (until - 2 * step) // step * step
    if first > last:
        raise ValueError("between the first time and the last there is no room for a fault")
    lasts = tuple(ns for ns in _round_lengths(step) if ns <= max(step, (until - first) * 3 // 5))
    return Grid(step, first, last, until, lasts)


def round_up(ns: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power = 1
    while 5 * power < ns:
        power *= 10
    return next(digit * power for digit in (1, 2, 5) if digit * power >= ns)


def _round_lengths(step_ns: int) -> tuple[int, ...]:
    decade = 10 ** (len(str(step_ns)) - 1)
    lengths = [digit * decade * 10**power for power in range(6) for digit in _LASTS]
    return tuple(ns for ns in lengths if ns >= step_ns)
