"""What a stream of u32 sequence numbers says: gaps, duplicates, reorders, and restarts of the sender.

A number ahead of the highest leaves a gap; when a missing one comes late, the gap closes and a reorder is counted. A
number seen before is a duplicate if it comes close behind. A sender that restarts counts from anew: a number far
behind is a restart at once; one close behind may be either, and is taken for a restart when three of them follow one
another without progress; the counts are then put right. (A sender that restarts within its first three numbers looks
like one whose frames were duplicated.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

WINDOW = 1024
"""How far back single numbers are remembered."""
CLOSE = 64
"""A number that cannot be late (seen before, or older than the first) and is further behind than this is a restart."""
RESTART_RUN = 3
"""So many numbers that cannot be late, each after the one before, are a restart too."""
MAX_GAP = 1 << 24
"""A longer jump ahead (ten days of frames at 20 Hz) is a restart with another first number, not a loss."""
RUN_SKIP = 8
"""A run goes on when up to this many numbers less one are lost in it."""

_MODULUS = 1 << 32
_WINDOW_MASK = (1 << WINDOW) - 1


class Arrival(Enum):
    """How a number relates to those before it."""

    FIRST = "first"
    NEXT = "next"
    GAP = "gap"
    LATE = "late"
    DUPLICATE = "duplicate"
    RESTART = "restart"


@dataclass(slots=True)
class _Run:
    """Numbers behind the highest, one after the other: perhaps the beginning of another life of the sender."""

    last: int = -1
    bits: int = 0
    """Bit k: `last - k` was in the run."""
    duplicates: int = 0
    filled: int = 0
    """Numbers that closed a gap."""
    older: int = 0
    """Numbers before the first one ever seen."""

    def extend(self, number: int) -> bool:
        step = (number - self.last) % _MODULUS
        if self.last < 0 or not 0 < step <= RUN_SKIP:
            return False
        self.bits = self.bits << step | 1
        self.last = number
        return True


@dataclass(slots=True)
class SequenceTracker:
    """Feed it numbers in the order of arrival. Numbers before the first one are not missed."""

    frames: int = 0
    """All arrivals, duplicates included."""
    gaps: int = 0
    """Numbers that were skipped and have not come since."""
    duplicates: int = 0
    reorders: int = 0
    restarts: int = 0
    _highest: int = -1
    _seen: int = 0
    """Bit k: `highest - k` has arrived."""
    _span: int = 0
    """Numbers from the first of this life of the sender to the highest."""
    _run: _Run = field(default_factory=_Run)

    def observe(self, number: int) -> Arrival:
        """Count one arrival."""
        self.frames += 1
        if self._highest < 0:
            self._highest, self._seen, self._span = number, 1, 1
            return Arrival.FIRST
        ahead = (number - self._highest) % _MODULUS
        if 0 < ahead <= MAX_GAP:
            return self._advance(number, ahead)
        return self._look_back(number, (self._highest - number) % _MODULUS)

    def _advance(self, number: int, ahead: int) -> Arrival:
        self._highest = number
        self._seen = ((self._seen << ahead) | 1) & _WINDOW_MASK if ahead < WINDOW else 1
        self._span += ahead
        self._run = _Run()
        self.gaps += ahead - 1
        return Arrival.NEXT if ahead == 1 else Arrival.GAP

    def _look_back(self, number: int, behind: int) -> Arrival:
        seen = behind < WINDOW and bool(self._seen >> behind & 1)
        older = behind >= self._span
        if behind >= WINDOW or (behind > CLOSE and (seen or behind >= self._span + CLOSE)):
            return self._restart(number, _Run(number, 1))
        if not self._run.extend(number):
            self._run = _Run(number, 1)
        self._count(behind, seen=seen, older=older)
        if self._run.duplicates + self._run.older >= RESTART_RUN:
            self._take_back()
            return self._restart(number, self._run)
        return Arrival.DUPLICATE if seen else Arrival.LATE

    def _count(self, behind: int, *, seen: bool, older: bool) -> None:
        if seen:
            self.duplicates += 1
            self._run.duplicates += 1
            return
        self._seen |= 1 << behind
        self.reorders += 1
        if older:
            self._run.older += 1
        else:
            self.gaps -= 1
            self._run.filled += 1

    def _take_back(self) -> None:
        self.duplicates -= self._run.duplicates
        self.reorders -= self._run.filled + self._run.older
        self.gaps += self._run.filled

    def _restart(self, number: int, run: _Run) -> Arrival:
        self.restarts += 1
        self._highest, self._seen, self._span = number, run.bits, run.bits.bit_length()
        self.gaps += self._span - run.bits.bit_count()
        self._run = _Run()
        return Arrival.RESTART
