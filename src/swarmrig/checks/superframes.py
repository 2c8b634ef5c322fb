"""Where superframes begin, learnt from the hub's beacons as they were captured at the hub's own port.

A capture stamps a beacon when the rig took it in: never early, and late by whatever the machine was busy with. The
least of (time − number x length) over a second is therefore close to the truth, and the median of five such seconds
does not follow a single odd one. A number that falls back starts a new era: the hub was restarted.
"""

from __future__ import annotations

from bisect import bisect_right
from statistics import median_low

from swarmrig.model.units import NS_PER_S

_BUCKET_NS = NS_PER_S
_AROUND = 2
HORIZON_NS = (_AROUND + 1) * _BUCKET_NS
"""Once a beacon this much later was seen, what is known of a time does not change any more."""


class _Era:
    """One life of the hub: its superframe numbers rise."""

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self._least: dict[int, int] = {}

    def add(self, t_ns: int, offset_ns: int) -> None:
        bucket = t_ns // _BUCKET_NS
        self._least[bucket] = min(offset_ns, self._least.get(bucket, offset_ns))

    def offset_ns(self, t_ns: int) -> int | None:
        bucket = t_ns // _BUCKET_NS
        around = [self._least.get(number) for number in range(bucket - _AROUND, bucket + _AROUND + 1)]
        known = [offset for offset in around if offset is not None]
        return median_low(known) if known else None


class Superframes:
    """The epoch of the hub's superframes over the run. Keeps one number a second."""

    def __init__(self) -> None:
        self.beacons = 0
        self.length_ns = 0
        self.slots = 0
        self.latest_ns = 0
        self._last_number = -1
        self._eras: list[_Era] = []

    def add(self, t_ns: int, number: int, length_ns: int, slots: int) -> None:
        """A beacon; they come in time order."""
        if number < self._last_number or length_ns != self.length_ns or not self._eras:
            self._eras.append(_Era(t_ns))
        self._eras[-1].add(t_ns, t_ns - number * length_ns)
        self._last_number = number
        self.length_ns, self.slots, self.latest_ns = length_ns, slots, t_ns
        self.beacons += 1

    def slot(self, t_ns: int) -> int | None:
        """The slot in which this time lies; None where no beacon is near, or before the first."""
        if not self._eras or self.length_ns <= 0 or self.slots <= 0:
            return None
        index = bisect_right(self._eras, t_ns, key=lambda era: era.first_ns) - 1
        offset_ns = self._eras[index].offset_ns(t_ns) if index >= 0 else None
        if offset_ns is None:
            return None
        return (t_ns - offset_ns) % self.length_ns * self.slots // self.length_ns
