"""Metrics of two campaigns: which moved, over the seeds and repetitions of a scenario, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from swarmrig.campaigns.results import Entry
from swarmrig.campaigns.sameness import EXACT
from swarmrig.errors import SwarmrigError
from swarmrig.scenario.problems import suggest_or_list
from swarmrig.suites.compare import Change, Comparison, Judging, Worse, compare_values

_EITHER: Worse = frozenset(("max", "min"))

Labels = tuple[tuple[str, str], ...]
"""Axis and label of a variant."""


@dataclass(slots=True)
class _Family:
    """Runs of a scenario's variant: they differ in nothing but chance."""

    exact: bool = True
    """Nothing of it is chance but the seed."""
    values: dict[str, list[float]] = field(default_factory=dict)
    """By metric, a value of each run."""


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric that differs, or is judged. Of one that nobody judges, REGRESSION and IMPROVEMENT both say: it moved."""

    scenario: str
    variant: Mapping[str, str]
    comparison: Comparison
    judged: bool

    @property
    def moved(self) -> bool:
        """Is it sure?"""
        return self.comparison.change in (Change.REGRESSION, Change.IMPROVEMENT)

    def as_json(self) -> dict[str, Any]:
        return {"variant": self.variant, "judged": self.judged, "moved": self.moved, **self.comparison.as_json()}


def compare_metrics(
    before: Iterable[Entry], after: Iterable[Entry], judging: Judging, worse: Mapping[str, Worse]
) -> tuple[MetricChange, ...]:
    """Metrics that both have and that differ, in the order of the first campaign; and all that are judged."""
    early, late = _measured(before), _measured(after)
    _refuse_unknown(worse, {metric for family in early.values() for metric in family.values})
    found = []
    for (scenario, variant), family in early.items():
        other = late.get((scenario, variant))
        for metric in family.values if other is not None else ():
            direction = next((way for pattern, way in worse.items() if fnmatchcase(metric, pattern)), None)
            comparison = _compared((scenario, metric), family, other or _Family(), direction, judging)
            if comparison is not None:
                found.append(MetricChange(scenario, dict(variant), comparison, direction is not None))
    return tuple(found)


def _refuse_unknown(worse: Mapping[str, Worse], known: Iterable[str]) -> None:
    for pattern in worse:
        if not any(fnmatchcase(metric, pattern) for metric in known):
            raise SwarmrigError(f"no run measured a metric {pattern[:80]!r}", hint=suggest_or_list(pattern, known))


def _compared(
    name: tuple[str, str], early: _Family, late: _Family, direction: Worse | None, judging: Judging
) -> Comparison | None:
    """None when there is nothing to tell."""
    before, after = early.values[name[1]], late.values.get(name[1], [])
    runs = (len(before), len(after))
    if not after:
        return None if direction is None else Comparison(*name, Change.REGRESSION, "is not there any more", runs)
    if sorted(before) == sorted(after):
        if direction is None:
            return None
        if early.exact and late.exact:  # not by chance
            middle = median(before)
            return Comparison(*name, Change.SAME, "the same in every run", runs, (middle, middle))
    found = compare_values(*name, (before, after), direction or _EITHER, judging)
    return None if direction is None and found.change is Change.SAME else found


def _measured(entries: Iterable[Entry]) -> dict[tuple[str, Labels], _Family]:
    """Repetitions of a run of tier `exact` say nothing new, so they count once."""
    found: dict[tuple[str, Labels], _Family] = defaultdict(_Family)
    by_run: dict[tuple[str, Labels], dict[str, dict[tuple[int, int], list[float]]]] = {}
    for entry in entries:
        if entry.result is None or entry.result.verdict is None:
            continue
        scenario, variant, seed = entry.task.group
        exact = entry.result.tier == EXACT
        found[scenario, variant].exact &= exact
        metrics = by_run.setdefault((scenario, variant), defaultdict(lambda: defaultdict(list)))
        for name, value in entry.result.metrics.items():
            if value is not None:
                metrics[name][seed, 0 if exact else entry.task.repetition].append(value)
    for family, metrics in by_run.items():
        found[family].values = {name: [median(values) for values in runs.values()] for name, runs in metrics.items()}
    return found
