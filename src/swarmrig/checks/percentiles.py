"""A distribution in bounded memory, exact to one part in a thousand."""

from __future__ import annotations

_BITS = 11
"""Significant bits that are kept of a value: the resolution is 1/1024."""


class Percentiles:
    """Counts whole numbers ≥ 0 in buckets that grow with the value, as HdrHistogram does.

    A percentile is that of the nearest rank. Its value is the greatest number of the bucket: at most 0.1 % too high,
    never too low, so that an upper bound that holds for it holds for the numbers themselves. Smallest, greatest and
    mean are exact. The order of the numbers does not matter.
    """

    __slots__ = ("_buckets", "count", "max", "min", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[int, int]] = {}
        """By its lowest value: how many numbers are in it, and the greatest of them."""
        self.count = 0
        self.min = 0
        self.max = 0
        self.total = 0

    def add(self, value: int) -> None:
        self.min = value if self.count == 0 else min(self.min, value)
        self.max = max(self.max, value)
        self.count += 1
        self.total += value
        lowest = value & -1 << max(0, value.bit_length() - _BITS)
        count, greatest = self._buckets.get(lowest, (0, 0))
        self._buckets[lowest] = count + 1, max(greatest, value)

    def at(self, percent: float) -> int | None:
        """The value that `percent` of the numbers do not exceed; None without numbers."""
        wanted = self.count * percent / 100
        seen = 0
        for lowest in sorted(self._buckets):
            count, greatest = self._buckets[lowest]
            seen += count
            if seen >= wanted:
                return greatest
        return None

    @property
    def mean(self) -> int | None:
        return round(self.total / self.count) if self.count else None
