"""Two records of what happened, side by side: where they first differ."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile, zip_longest
from typing import Any

from swarmrig.replay.moments import FrameMoment, Moment
from swarmrig.wire.decode import decode

CONTEXT = 3
"""Moments shown before the first difference, and from it on."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference within one file."""

    file: str
    t_ns: int
    """Run time of the earlier one of the two that differ."""
    before: tuple[Moment, ...]
    """The last that was the same."""
    left: tuple[Moment, ...]
    """From the difference on; empty when this side ended there."""
    right: tuple[Moment, ...]

    @property
    def source(self) -> str:
        """Who did it: that of the earlier one."""
        firsts = [side[0] for side in (self.left, self.right) if side]
        return min(firsts, key=lambda moment: moment.t_ns).source

    @property
    def detail(self) -> str | None:
        """What is different when that is hard to see: in two frames of one time, or in two lines that look the same."""
        if not (self.left and self.right) or self.left[0].t_ns != self.right[0].t_ns:
            return None
        left, right = self.left[0], self.right[0]
        if isinstance(left, FrameMoment) and isinstance(right, FrameMoment) and left.data != right.data:
            return _frame_detail(left.data, right.data)
        return f"{left.content} | {right.content}" if left.text == right.text else None


@dataclass(frozen=True, slots=True)
class Change:
    """A result that is not the same: where in results.json, and both values (None: not there)."""

    path: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found."""

    left: str
    right: str
    compared: str
    """What was compared, in words."""
    differences: tuple[Difference, ...]
    """One a file, the earliest first."""
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        return not self.differences and not self.changes


def in_time_order(differences: Iterable[Difference | None]) -> tuple[Difference, ...]:
    """Those that are, the earliest first; at one time what was sent before what was said before what was noted."""
    return tuple(
        sorted((one for one in differences if one is not None), key=lambda one: (one.t_ns, _rank(one.file), one.file))
    )


def first_difference(
    file: str, left: Iterable[Moment], right: Iterable[Moment], *, until_ns: int | None = None
) -> Difference | None:
    """Where two sequences part; None when they are the same. `until_ns`: what happens then or later does not count."""
    before: deque[Moment] = deque(maxlen=CONTEXT)
    ours, theirs = _until(left, until_ns), _until(right, until_ns)
    for one, other in zip_longest(ours, theirs):
        if one != other:
            lefts, rights = _from(one, ours), _from(other, theirs)
            t_ns = min(side[0].t_ns for side in (lefts, rights) if side)
            return Difference(file, t_ns, tuple(before), lefts, rights)
        before.append(one)
    return None


def _until(moments: Iterable[Moment], until_ns: int | None) -> Iterator[Moment]:
    return iter(moments) if until_ns is None else takewhile(lambda moment: moment.t_ns < until_ns, moments)


def _from(first: Moment | None, rest: Iterator[Moment]) -> tuple[Moment, ...]:
    return () if first is None else (first, *islice(rest, CONTEXT - 1))


def _rank(file: str) -> int:
    return 0 if file.startswith("net/") else 1 if file.startswith("nodes/") else 2


def _frame_detail(left: bytes, right: bytes) -> str:
    ours, theirs = decode(left).fields(), decode(right).fields()
    fields = [
        f"{name} {ours.get(name, 'absent')} | {theirs.get(name, 'absent')}"
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]
    if fields:
        return "; ".join(fields)
    offset = next((at for at, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), len(left))
    return f"from byte {offset}: {left[offset : offset + 8].hex(' ')} | {right[offset : offset + 8].hex(' ')}"
