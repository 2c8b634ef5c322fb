"""Numbers over the repetitions of a scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from swarmrig.suites.values import is_number

PERCENTILES = (50, 95, 99)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """By nearest rank: the smallest value that is not less than `percent` of all. `ordered` is sorted, not empty."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def describe(values: Iterable[float]) -> dict[str, Any]:
    """Count, extremes and percentiles of some numbers, of which there is at least one."""
    ordered = sorted(values)
    percentiles = {f"p{percent}": percentile(ordered, percent) for percent in PERCENTILES}
    return {"n": len(ordered), "min": ordered[0], **percentiles, "max": ordered[-1]}


def samples(summary: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """By scenario and `group.key`, the numbers of all its runs in a summary, in their order."""
    found: dict[str, dict[str, list[float]]] = {}
    for scenario in summary["scenarios"]:
        metrics = found.setdefault(scenario["id"], {})
        numbers = {"duration_ms": scenario["duration_ms"]}
        numbers |= {
            f"{group}.{key}": value for group, values in scenario["metrics"].items() for key, value in values.items()
        }
        for name, value in numbers.items():
            if is_number(value):
                metrics.setdefault(name, []).append(value)
    return found


def judged(summary: Mapping[str, Any]) -> dict[tuple[str, str], list[float]]:
    """By scenario and counter, what its checks judged, over all runs that measured it."""
    found: dict[tuple[str, str], list[float]] = {}
    for scenario in summary["scenarios"]:
        actuals = {check["metric"]: check["actual"] for check in scenario["checks"]}
        for metric, actual in actuals.items():
            if is_number(actual):
                found.setdefault((scenario["id"], metric), []).append(actual)
    return found


def statistics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The document of statistics.json: percentiles over the repetitions of each scenario."""
    passed: dict[str, list[bool]] = {}
    for scenario in summary["scenarios"]:
        passed.setdefault(scenario["id"], []).append(scenario["status"] == "pass")
    return {
        "format": 1,
        "mode": summary["mode"],
        "run_id": summary["run_id"],
        "scenarios": {
            name: {
                "runs": len(passed[name]),
                "passed": sum(passed[name]),
                "metrics": {metric: describe(values) for metric, values in metrics.items()},
            }
            for name, metrics in samples(summary).items()
        },
    }
