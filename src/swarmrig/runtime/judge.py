"""Feeds facts to checks and faults and asks them what they conclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from swarmrig.api import CheckContext
from swarmrig.model.facts import Fact
from swarmrig.model.verdict import CheckResult, Judgement, Outcome
from swarmrig.runtime.plan import RunPlan


class Judge:
    """All checks of a run. A check that raises is judged FATAL with its error: a broken judge never passes."""

    def __init__(self, plan: RunPlan) -> None:
        context = CheckContext(plan.scenario, plan.network)
        self._specs = [planned.spec for planned in plan.checks]
        self.labels = _told_apart([spec.label for spec in self._specs])
        """How the checks are called, each by another name."""
        self._checks: list[Any] = [planned.factory(context, **planned.spec.params) for planned in plan.checks]
        self._broken: dict[int, Judgement] = {}
        self._watchers: list[Callable[[Fact], None]] = []

    def watch(self, observe: Callable[[Fact], None]) -> None:
        """Feed every fact to `observe` too (faults, the live view)."""
        self._watchers.append(observe)

    def observe(self, fact: Fact) -> None:
        for index, check in enumerate(self._checks):
            if index not in self._broken:
                self._guarded(index, check.observe, fact)
        for observe in self._watchers:
            observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Sequence[Judgement | None]:
        """One entry per check, in the order of the scenario; None while undecided."""
        judgements: list[Judgement | None] = []
        for index, check in enumerate(self._checks):
            if index in self._broken:
                judgements.append(self._broken[index])
            else:
                found = self._guarded(index, check.judge, now_ns, final=final)
                judgements.append(self._broken.get(index, found))
        return judgements

    def results(self, now_ns: int) -> tuple[CheckResult, ...]:
        """The final judgements."""
        results = []
        for spec, label, judgement in zip(self._specs, self.labels, self.judge(now_ns, final=True), strict=True):
            if judgement is None:
                judgement = Judgement(Outcome.FATAL, "the check gave no final judgement", severity=Outcome.FATAL)
            elif judgement.outcome is Outcome.PASS and not judgement.evidence:
                message = f"it says {judgement.message!r}, but points to no evidence"
                judgement = Judgement(Outcome.INCONCLUSIVE, message, severity=judgement.severity)
            results.append(CheckResult(spec.name, label, judgement, spec.source))
        return tuple(results)

    def _guarded(self, index: int, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except Exception as error:  # a third party's check must not take the run down, nor pass
            message = f"the check itself failed: {type(error).__name__}: {error}"
            self._broken[index] = Judgement(Outcome.FATAL, message, severity=Outcome.FATAL)
            return None


def _told_apart(labels: Sequence[str]) -> tuple[str, ...]:
    """The first of several equal ones stays as it is, the others are counted: `console`, `console (2)`."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return tuple(found)
