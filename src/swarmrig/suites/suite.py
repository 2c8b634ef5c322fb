"""What a suite is to whoever judges it: programs and their logs, counters, scenarios, thresholds of each mode."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarmrig.errors import SwarmrigError
from swarmrig.scenario.problems import suggest
from swarmrig.suites.thresholds import Thresholds
from swarmrig.suites.wire_latency import Pairing


@dataclass(frozen=True, slots=True)
class Line:
    """Counters are the pairs on the last line of a log that holds this marker."""

    marker: str


@dataclass(frozen=True, slots=True)
class Patterns:
    """Each counter is a pattern: what its group caught last, or how many lines match when it has none."""

    patterns: Mapping[str, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Counters are the numbers of a JSON file; names of nested ones are joined by dots."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Counters are the latency between frames of two captures, or of one, that belong together."""

    pairing: Pairing
    second: str | None = None
    """The column of the second capture."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some counters: their name in summaries, the column of the manifest that leads to them, how to read them."""

    name: str
    column: str
    reader: Line | Patterns | Numbers | Wire

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the manifest that it needs."""
        second = self.reader.second if isinstance(self.reader, Wire) else None
        return (self.column,) if second is None else (self.column, second)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one run of a scenario leaves."""

    processes: Sequence[str]
    artifacts: Sequence[str] = ()
    groups: Sequence[Group] = ()
    exits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Exit codes that are right for a process, where that is not 0 alone."""

    def is_right(self, process: str, code: int) -> bool:
        return code in self.exits.get(process, (0,))


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as it is judged."""

    name: str
    task: int | str
    """The first value of its summary: what the summary is of."""
    shape: Shape
    scenarios: Sequence[str]
    """The ids that have to run; the suite passes when exactly these ran and passed."""
    modes: Mapping[str, Thresholds]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """Of scenarios that leave something else than the others."""

    def shape_of(self, scenario_id: str) -> Shape:
        return self.shapes.get(scenario_id, self.shape)

    def thresholds(self, mode: str) -> Thresholds:
        if mode not in self.modes:
            hint = suggest(mode, self.modes) or f"modes of {self.name}: {', '.join(self.modes)}"
            raise SwarmrigError(f"unknown mode {mode[:80]!r}", hint=hint)
        return self.modes[mode]
