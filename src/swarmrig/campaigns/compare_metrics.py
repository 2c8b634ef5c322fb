"""Metrics of two campaigns: which moved, over the seeds and repetitions of a scenario, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from swarmrig.campaigns.results import Entry
from swarmrig.campaigns.sameness import EXACT
from swarmrig.errors import SwarmrigError
from swarmrig.scenario.problems import suggest_or_list
from swarmrig.suites.compare import Change, Comparison, Judging, Worse, compare_values

_EITHER: Worse = frozenset(("max", "min"))

Family = tuple[str, tuple[tuple[str, str], ...]]
"""Scenario and labels of the variant: runs that differ in nothing but chance."""


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
    _refuse_unknown(worse, {metric for metrics in early.values() for metric in metrics})
    found = []
    for (scenario, variant), metrics in early.items():
        others = late.get((scenario, variant))
        for metric, values in metrics.items() if others is not None else ():
            direction = next((way for pattern, way in worse.items() if fnmatchcase(metric, pattern)), None)
            comparison = _compared(scenario, metric, (values, (others or {}).get(metric, [])), direction, judging)
            if comparison is not None:
                found.append(MetricChange(scenario, dict(variant), comparison, direction is not None))
    return tuple(found)


def _refuse_unknown(worse: Mapping[str, Worse], known: Iterable[str]) -> None:
    for pattern in worse:
        if not any(fnmatchcase(metric, pattern) for metric in known):
            raise SwarmrigError(f"no run measured a metric {pattern[:80]!r}", hint=suggest_or_list(pattern, known))


def _compared(
    name: str, metric: str, values: tuple[list[float], list[float]], direction: Worse | None, judging: Judging
) -> Comparison | None:
    """None when there is nothing to tell."""
    before, after = values
    if not after:
        gone = Comparison(name, metric, Change.REGRESSION, "is not there any more", (len(before), 0))
        return None if direction is None else gone
    if direction is None and sorted(before) == sorted(after):
        return None
    found = compare_values(name, metric, values, direction or _EITHER, judging)
    return None if direction is None and found.change is Change.SAME else found


def _measured(entries: Iterable[Entry]) -> dict[Family, dict[str, list[float]]]:
    """The values of each metric. Repetitions of a run of tier `exact` say nothing new, so they count once."""
    by_run: dict[Family, dict[str, dict[tuple[int, int], list[float]]]] = {}
    for entry in entries:
        if entry.result is None or entry.result.verdict is None:
            continue
        scenario, variant, seed = entry.task.group
        run = (seed, 0 if entry.result.tier == EXACT else entry.task.repetition)
        family = by_run.setdefault((scenario, variant), defaultdict(lambda: defaultdict(list)))
        for name, value in entry.result.metrics.items():
            if value is not None:
                family[name][run].append(value)
    return {
        family: {name: [median(values) for values in runs.values()] for name, runs in metrics.items()}
        for family, metrics in by_run.items()
    }
