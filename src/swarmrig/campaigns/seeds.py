"""Seeds of a campaign: ranges, counted without being listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_RANGE = re.compile(r"\s*(\d{1,19})\s*\.\.\s*(\d{1,19})\s*")
MOST = 2**63 - 1
EXPECTED = "expected seeds: a number, a range such as 1..20, or a list of them"


@dataclass(frozen=True, slots=True)
class Seeds:
    """Distinct seeds, in order."""

    ranges: tuple[range, ...]

    @property
    def count(self) -> int:
        """How many; more than fit into a `len`, if need be."""
        return sum(each.stop - each.start for each in self.ranges)

    def __iter__(self) -> Iterator[int]:
        for each in self.ranges:
            yield from each

    def __str__(self) -> str:
        return ", ".join(_text(each) for each in self.ranges)


def parse_seeds(value: Any) -> Seeds:
    """Seeds as files have them. ValueError says what is wrong."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError(EXPECTED)
    ranges = tuple(_range(item) for item in items)
    ordered = sorted(ranges, key=lambda each: each.start)
    for first, second in pairwise(ordered):
        if second.start < first.stop:
            raise ValueError(f"seed {second.start} is there twice")
    return Seeds(ranges)


def _text(seeds: range) -> str:
    last = seeds.stop - 1
    return str(last) if seeds.start == last else f"{seeds.start}..{last}"


def _range(value: Any) -> range:
    if type(value) is int and 0 <= value <= MOST:
        return range(value, value + 1)
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(EXPECTED)
    first, last = int(found[1]), int(found[2])
    if not first <= last <= MOST:
        raise ValueError(f"expected a range from the smaller to the larger seed, at most {MOST}")
    return range(first, last + 1)
