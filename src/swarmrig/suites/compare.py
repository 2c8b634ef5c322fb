"""Two runs of a suite side by side: what became worse, what better, and what the noise does not let anybody say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.model.verdict import Outcome
from swarmrig.suites.confidence import fewest, shift
from swarmrig.suites.values import is_number

_LARGEST_SUMMARY = 256 << 20


class Change(StrEnum):
    REGRESSION = "REGRESSION"
    IMPROVEMENT = "IMPROVEMENT"
    SAME = "SAME"  # no worse by more than the tolerance, and that is sure
    UNCLEAR = "UNCLEAR"  # too few runs, or too much noise, to be sure of anything


OUTCOMES = {
    Change.REGRESSION: Outcome.FAIL,
    Change.UNCLEAR: Outcome.WARN,
    Change.SAME: Outcome.PASS,
    Change.IMPROVEMENT: Outcome.PASS,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One counter of one scenario in both runs; medians and bounds are None where there is nothing to take them of."""

    scenario: str
    metric: str
    change: Change
    message: str
    runs: tuple[int, int]
    medians: tuple[float | None, float | None] = (None, None)
    shift: float | None = None
    bounds: tuple[float, float] | None = None
    """Between these the true shift lies, with the confidence asked for."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judging:
    """How a difference is judged."""

    confidence: float = 0.95
    tolerance: float = 0.05
    """Share of the first run's median that a counter may be worse by."""


Worse = frozenset[str]
"""Which bounds a counter has: `max` (more is worse), `min` (less is worse), or both."""


@dataclass(slots=True)
class _Scenario:
    runs: int = 0
    failed: int = 0
    actuals: dict[str, list[float]] = field(default_factory=dict)
    """By counter, what the runs measured that measured anything."""
    bounds: dict[str, set[str]] = field(default_factory=dict)


def load_summary(path: Path) -> Mapping[str, Any]:
    """The summary in a file, or in the directory of a run. Raises HostError."""
    file = path / "summary.json" if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_SUMMARY + 1)
        if len(data) > _LARGEST_SUMMARY:
            raise HostError(f"{file} is larger than {_LARGEST_SUMMARY >> 20} MiB: not a summary")
        found = json.loads(data)
        if not isinstance(found["mode"], str) or not isinstance(found["scenarios"], list):
            raise TypeError("`mode` or `scenarios` is not what it should be")
        _scenarios(found)
    except OSError as error:
        raise HostError(
            f"cannot read {file}: {error.strerror}", hint="give a summary.json, or a run's directory"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise HostError(f"{file} is no summary of a suite: {error!r}") from error
    return found  # type: ignore[no-any-return]


def compare(first: Mapping[str, Any], second: Mapping[str, Any], judging: Judging) -> list[Comparison]:
    """Every scenario's verdicts, and every counter that has a threshold, in the order of the first summary.

    Raises SwarmrigError when they are of different modes.
    """
    if first["mode"] != second["mode"]:
        raise SwarmrigError(
            f"the runs are of different modes, {first['mode']!r} and {second['mode']!r}", hint="compare like with like"
        )
    before, after = _scenarios(first), _scenarios(second)
    found: list[Comparison] = []
    for name, early in before.items():
        late = after.get(name)
        if late is None:
            found.append(Comparison(name, "verdict", Change.REGRESSION, "did not run", (early.runs, 0)))
            continue
        found.append(_verdicts(name, early, late))
        found += _counters(name, early, late, judging)
    return found


def outcome(changes: Iterable[Change]) -> Outcome:
    """FAIL for a regression, WARN when something is unclear or there was nothing to compare, else PASS."""
    outcomes = {OUTCOMES[change] for change in changes} or {Outcome.WARN}
    return next(each for each in (Outcome.FAIL, Outcome.WARN, Outcome.PASS) if each in outcomes)


def _scenarios(summary: Mapping[str, Any]) -> dict[str, _Scenario]:
    found: dict[str, _Scenario] = {}
    together = summary.get("over_runs", ())
    for entry in summary["scenarios"]:
        scenario = found.setdefault(str(entry["id"]), _Scenario())
        scenario.runs += 1
        scenario.failed += entry["status"] != "pass"
        actuals = {}
        for check in entry["checks"]:
            metric = str(check["metric"])
            scenario.bounds.setdefault(metric, set()).add(str(check["type"]))
            actuals[metric] = check["actual"]
        for over in (over for over in together if over["scenario"] == entry["id"]):
            metric = str(over["metric"])
            scenario.bounds.setdefault(metric, set()).add(str(over["type"]))
            actuals[metric] = _counted(entry["metrics"], metric)
        for metric, actual in actuals.items():
            values = scenario.actuals.setdefault(metric, [])
            if is_number(actual):
                values.append(actual)
    return found


def _counted(groups: Mapping[str, Mapping[str, Any]], metric: str) -> Any:
    """A counter of one run by its key, or by `group.key`."""
    group, _, key = metric.partition(".")
    if key in groups.get(group, {}):
        return groups[group][key]
    return next((values[metric] for values in groups.values() if metric in values), None)


def _verdicts(name: str, early: _Scenario, late: _Scenario) -> Comparison:
    message = f"failed {late.failed} of {late.runs}, before {early.failed} of {early.runs}"
    change = judge_failures((early.failed, early.runs), (late.failed, late.runs))
    return Comparison(name, "verdict", change, message, (early.runs, late.runs))


def judge_failures(before: tuple[int, int], after: tuple[int, int]) -> Change:
    """Of how many failed, of how many (at least one) that ran."""
    share_before, share_after = before[0] / before[1], after[0] / after[1]
    if share_after > share_before:
        # Whoever never failed has to go on so; among those who do at times, a few runs show nothing.
        return Change.UNCLEAR if before[0] else Change.REGRESSION
    return Change.IMPROVEMENT if share_after < share_before else Change.SAME


def _counters(name: str, early: _Scenario, late: _Scenario, judging: Judging) -> Iterator[Comparison]:
    for metric, before in early.actuals.items():
        after = late.actuals.get(metric, [])
        runs = (len(before), len(after))
        if not before:
            continue  # there was nothing that could become worse
        if not after:
            yield Comparison(name, metric, Change.REGRESSION, "is not there any more", runs, (median(before), None))
            continue
        yield compare_values(name, metric, (before, after), frozenset(early.bounds[metric]), judging)


def compare_values(
    name: str, metric: str, values: tuple[Sequence[float], Sequence[float]], worse: Worse, judging: Judging
) -> Comparison:
    """One counter by what was measured before and after, each at least once."""
    before, after = values
    runs = (len(before), len(after))
    medians = (median(before), median(after))
    found = shift(before, after, judging.confidence)
    if found is None:
        message = f"no verdict at {judging.confidence:.0%} confidence below {fewest(judging.confidence)} runs each"
        return Comparison(name, metric, Change.UNCLEAR, message, runs, medians, medians[1] - medians[0])
    tolerated = judging.tolerance * abs(medians[0])
    change = _judge(found.estimate, found.low, found.high, tolerated, worse)
    message = f"{judging.confidence:.0%} sure of {found.low:+g} .. {found.high:+g}, tolerated {tolerated:g}"
    return Comparison(name, metric, change, message, runs, medians, found.estimate, (found.low, found.high))


def _judge(estimate: float, low: float, high: float, tolerated: float, worse: Worse) -> Change:
    """`estimate` and its bounds are how much more it is than before."""
    if worse == {"min"}:
        estimate, low, high = -estimate, -high, -low
    if low > 0 and estimate > tolerated:
        return Change.REGRESSION
    if high < 0 and estimate < -tolerated:
        return Change.REGRESSION if len(worse) > 1 else Change.IMPROVEMENT
    sure = high <= tolerated and (len(worse) == 1 or low >= -tolerated)
    return Change.SAME if sure else Change.UNCLEAR
