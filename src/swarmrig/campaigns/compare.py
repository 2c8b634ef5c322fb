"""Two campaigns side by side: what fails now and did not, what passes now, what moved, and which inputs changed.

Runs belong together when scenario, variant and seed are the same, whatever has become of the firmware: that is what is
compared. How sure a difference is, is judged as for suites (suites.compare).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarmrig.campaigns.compare_inputs import InputChange, Made, changed_inputs
from swarmrig.campaigns.compare_metrics import MetricChange, compare_metrics
from swarmrig.campaigns.results import Entry, Facts
from swarmrig.campaigns.sameness import EXACT
from swarmrig.model.verdict import Outcome
from swarmrig.suites.compare import Change, Judging, Worse, judge_failures, outcome

Group = tuple[str, tuple[tuple[str, str], ...], int]
"""Scenario, labels of the variant, seed."""
FAILED = frozenset((Outcome.FAIL, Outcome.FATAL))


class Kind(StrEnum):
    """How a run went before and after."""

    NEWLY_FAILING = "newly failing"
    FLAKY = "flaky"  # before, after or both, repetitions did not end alike
    NOT_JUDGED = "not judged"  # in one of them, or both, there was no verdict
    NEWLY_WARNING = "newly warning"
    STILL_FAILING = "still failing"
    NEWLY_PASSING = "newly passing"
    ONLY_BEFORE = "only before"
    ONLY_AFTER = "only after"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class RunChange:
    """One run of the matrix, with its repetitions."""

    scenario: str
    variant: Mapping[str, str]
    seed: int
    kind: Kind
    change: Change
    message: str
    quarantined: bool = False
    """Then it does not count."""


@dataclass(frozen=True, slots=True)
class DigestChange:
    """A run of tier `exact` that gave other bytes."""

    scenario: str
    variant: Mapping[str, str]
    seed: int
    digests: tuple[str, str]
    inputs: tuple[InputChange, ...]
    """What it was made of that has changed. Empty: nothing that is recorded has."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two campaigns."""

    facts: Facts
    tasks: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class CampaignComparison:
    """All that changed."""

    before: Facts
    after: Facts
    runs: tuple[RunChange, ...]
    digests: tuple[DigestChange, ...]
    metrics: tuple[MetricChange, ...]

    @property
    def verdict(self) -> Outcome:
        """FAIL for a regression, WARN when something is unclear or there was nothing to compare, else PASS."""
        changes = [each.change for each in self.runs if not each.quarantined]
        changes += [Change.UNCLEAR for each in self.digests if not each.inputs]
        return outcome(changes + [each.comparison.change for each in self.metrics if each.judged])

    def as_json(self) -> dict[str, Any]:
        """The document that `campaign compare --json` prints."""
        return {
            "verdict": self.verdict,
            "before": self.before,
            "after": self.after,
            "counts": {kind: sum(each.kind is kind for each in self.runs) for kind in Kind},
            "runs": [each for each in self.runs if each.kind is not Kind.SAME],
            "digests": self.digests,
            "metrics": [each.as_json() for each in self.metrics],
        }


@dataclass(slots=True)
class _Tally:
    """What became of the repetitions of one run."""

    entries: list[Entry] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Outcome]:
        return [entry.result.verdict for entry in self.entries if entry.result and entry.result.verdict]

    @property
    def failed(self) -> tuple[int, int]:
        return sum(verdict in FAILED for verdict in self.verdicts), len(self.verdicts)

    @property
    def digests(self) -> list[str]:
        """Those of tier `exact`, in order; more than one is a defect of its own."""
        results = [entry.result for entry in self.entries if entry.result and entry.result.tier == EXACT]
        return sorted({result.digest for result in results if result.digest})

    @property
    def is_mixed(self) -> bool:
        return len({*self.verdicts}) > 1 or len(self.digests) > 1

    @property
    def quarantined(self) -> bool:
        return any(entry.task.quarantine is not None for entry in self.entries)

    def made(self, facts: Facts) -> Made:
        """What the first that was run was made of."""
        results = [entry.result for entry in self.entries if entry.result]
        return Made(facts, results[0].key, results[0].inputs)


def compare_campaigns(
    before: Side, after: Side, judging: Judging, worse: Mapping[str, Worse] | None = None
) -> CampaignComparison:
    """`worse` says which metrics decide, as a pattern (`nodes.*.loss`) to what is worse; the others are told only."""
    early, late = _grouped(before.tasks), _grouped(after.tasks)
    groups = [*early, *(group for group in late if group not in early)]
    return CampaignComparison(
        before.facts,
        after.facts,
        tuple(_run(group, early.get(group), late.get(group)) for group in groups),
        tuple(_digests(early, late, (before.facts, after.facts))),
        compare_metrics(before.tasks, after.tasks, judging, worse or {}),
    )


def _grouped(entries: Iterable[Entry]) -> dict[Group, _Tally]:
    found: dict[Group, _Tally] = defaultdict(_Tally)
    for entry in entries:
        found[entry.task.group].entries.append(entry)
    return dict(found)


def _run(group: Group, before: _Tally | None, after: _Tally | None) -> RunChange:
    scenario, variant, seed = group
    kind, change, message = _judged(before, after)
    quarantined = any(tally is not None and tally.quarantined for tally in (before, after))
    return RunChange(scenario, dict(variant), seed, kind, change, message, quarantined)


def _judged(before: _Tally | None, after: _Tally | None) -> tuple[Kind, Change, str]:
    if before is None:
        assert after is not None
        return Kind.ONLY_AFTER, Change.UNCLEAR if after.failed[0] else Change.SAME, f"is new: {_told(after)}"
    if after is None:
        return Kind.ONLY_BEFORE, Change.UNCLEAR, f"did not run; before {_told(before)}"
    message = f"{_told(after)}; before {_told(before)}"
    if not before.verdicts or not after.verdicts:
        return Kind.NOT_JUDGED, Change.UNCLEAR, message
    change = judge_failures(before.failed, after.failed)
    if before.is_mixed or after.is_mixed:
        if change is Change.SAME:
            change = _steadier(before, after)
        return Kind.FLAKY, change, message
    return *_steady(before, after, change), message


def _steadier(before: _Tally, after: _Tally) -> Change:
    """As many failed; yet verdicts, or digests that have to be one, may have begun to differ, or ceased to."""
    if before.is_mixed == after.is_mixed:
        return Change.SAME
    if before.is_mixed:
        return Change.IMPROVEMENT
    return Change.REGRESSION if len(after.digests) > 1 else Change.UNCLEAR


def _steady(before: _Tally, after: _Tally, change: Change) -> tuple[Kind, Change]:
    """All repetitions failed, or none, on either side."""
    if change is Change.REGRESSION:
        return Kind.NEWLY_FAILING, change
    if change is Change.IMPROVEMENT:
        return Kind.NEWLY_PASSING, change
    if after.failed[0]:
        return Kind.STILL_FAILING, change
    if Outcome.WARN in after.verdicts and Outcome.WARN not in before.verdicts:
        return Kind.NEWLY_WARNING, Change.UNCLEAR
    return Kind.SAME, change


def _told(tally: _Tally) -> str:
    """In words; of what failed, why."""
    if not tally.verdicts:
        reasons = [
            entry.result.attempts[-1].reason for entry in tally.entries if entry.result and entry.result.attempts
        ]
        return f"no verdict ({reasons[0] if reasons else 'not run'})"
    verdicts = ", ".join(dict.fromkeys(tally.verdicts))
    failed, judged = tally.failed
    if 0 < failed < judged:
        verdicts = f"failed {failed} of {judged}"
    if len(tally.digests) > 1:
        verdicts += f" with {len(tally.digests)} digests where there should be one"
    reason = _reason(tally.entries) if failed else ""
    return f"{verdicts} ({reason})" if reason else verdicts


def _reason(entries: Iterable[Entry]) -> str:
    return next(iter(reason for entry in entries if (reason := first_reason(entry))), "")


def first_reason(entry: Entry) -> str:
    """What failed first in a run: a check with its message, a failure of the rig, or the end of the last attempt."""
    if entry.result is None:
        return "not run"
    for check in entry.result.checks:
        if check.counted in FAILED:
            return f"{check.label}: {check.message}"
    if entry.result.failures:
        return entry.result.failures[0]
    return entry.result.attempts[-1].reason if entry.result.attempts else ""


def _digests(
    early: Mapping[Group, _Tally], late: Mapping[Group, _Tally], sides: tuple[Facts, Facts]
) -> Iterator[DigestChange]:
    for group, tally in early.items():
        old, new = tally.digests, late[group].digests if group in late else []
        if len(old) != 1 or len(new) != 1 or old == new:
            continue
        scenario, variant, seed = group
        inputs = changed_inputs(tally.made(sides[0]), late[group].made(sides[1]))
        yield DigestChange(scenario, dict(variant), seed, (old[0], new[0]), inputs)
