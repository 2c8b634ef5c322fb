"""What a number must not fall below or exceed, and what comes of checking it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarmrig.suites.values import Value, is_number


class Bound(StrEnum):
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Threshold:
    """An inclusive limit. A whole limit judges whole numbers: decimals of what was measured are cut off."""

    metric: str
    """The key as it was printed; `group.key` where several groups have it."""
    bound: Bound
    limit: int | float
    groups: tuple[str, ...] = ()
    """Where the key is looked for, in this order; in all groups when nothing is said."""
    title: str = ""
    """How summaries call the limit, by default `<metric>_<bound>`."""
    over: str | None = None
    """Which percentile over all runs of a scenario it judges (`p50`, `max`); None: every run by itself."""

    @property
    def name(self) -> str:
        own = self.title or f"{self.metric}_{self.bound}"
        return f"{own}_over_{self.over}" if self.over else own


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of one mode: by scenario, and for scenarios that have none of their own."""

    by_scenario: Mapping[str, Sequence[Threshold]] = field(default_factory=dict)
    otherwise: Sequence[Threshold] = ()

    def of(self, scenario_id: str) -> Sequence[Threshold]:
        return self.by_scenario.get(scenario_id, self.otherwise)

    def as_json(self) -> dict[str, dict[str, int | float]]:
        return {
            scenario: {threshold.name: threshold.limit for threshold in thresholds}
            for scenario, thresholds in self.by_scenario.items()
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one group, as one run of a scenario left them."""

    values: Mapping[str, Value] = field(default_factory=dict)
    absence: str | None = None
    """Why there are none at all: `no LATENCY_METRICS line`."""


Readings = Mapping[str, Reading]
"""By the name of the group, in the suite's order."""


@dataclass(frozen=True, slots=True)
class Check:
    """A threshold applied. `actual` is None when there was nothing to judge, which never passes."""

    threshold: Threshold
    actual: int | float | None
    violation: str | None

    @property
    def passed(self) -> bool:
        return self.violation is None

    def as_json(self) -> dict[str, Any]:
        return {
            "metric": self.threshold.metric,
            "type": self.threshold.bound.value,
            "actual": self.actual,
            "expected": self.threshold.limit,
            "passed": self.passed,
            "violation": self.violation,
        }


def check(threshold: Threshold, readings: Readings) -> Check:
    """Judge one threshold by what was read."""
    value = find(threshold, readings)
    if not isinstance(value, int | float) or not is_number(value):
        return Check(threshold, None, _absence(threshold, readings))
    return check_value(threshold, value)


def check_value(threshold: Threshold, value: int | float) -> Check:
    """Judge a number by a threshold."""
    actual = int(value) if isinstance(threshold.limit, int) else value
    is_min = threshold.bound is Bound.MIN
    if actual < threshold.limit if is_min else actual > threshold.limit:
        sign = "<" if is_min else ">"
        return Check(threshold, actual, f"{threshold.metric}={actual} {sign} {threshold.limit}")
    return Check(threshold, actual, None)


def find(threshold: Threshold, readings: Readings) -> Value | None:
    """The value that a threshold is about; None when no group has it."""
    groups, key = _home(threshold, readings)
    return next((readings[group].values[key] for group in groups if key in readings[group].values), None)


def _home(threshold: Threshold, readings: Readings) -> tuple[list[str], str]:
    """The groups that may have it, and its key there."""
    group, dot, key = threshold.metric.partition(".")
    if dot and group in readings:
        return [group], key
    return [group for group in threshold.groups or readings if group in readings], threshold.metric


def _absence(threshold: Threshold, readings: Readings) -> str:
    groups, _ = _home(threshold, readings)
    nothing = f"no {threshold.metric}"
    if threshold.groups or len(groups) == 1:
        return readings[groups[0]].absence or nothing if groups else nothing
    return nothing
