"""How findings become one judgement: failures before gaps before a pass, with a handful of pointers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swarmrig.model.verdict import Evidence, Judgement, Outcome

MAX_EVIDENCE = 8
_MAX_LISTED = 5


class Tally:
    """What one check found. A gap is something that could not be judged for want of evidence."""

    def __init__(self, severity: Outcome) -> None:
        self.severity = severity
        self.failures: list[str] = []
        self.gaps: list[str] = []
        self._failure_evidence: list[Evidence] = []
        self._gap_evidence: list[Evidence] = []
        self._support: list[Evidence] = []

    def fail(self, message: str, *evidence: Evidence | None) -> None:
        self.failures.append(message)
        self._failure_evidence += [item for item in evidence if item is not None]

    def gap(self, message: str, *evidence: Evidence | None) -> None:
        self.gaps.append(message)
        self._gap_evidence += [item for item in evidence if item is not None]

    def support(self, *evidence: Evidence | None) -> None:
        """Evidence for a pass."""
        self._support += [item for item in evidence if item is not None]

    def judgement(self, passed: str, measured: Mapping[str, Any] | None = None) -> Judgement:
        """The judgement; `passed` is the message when there is neither failure nor gap.

        A pass without any support would rest on nothing, so it becomes INCONCLUSIVE.
        """
        if self.failures:
            messages = self.failures + [f"not judged: {gap}" for gap in self.gaps]
            return self._make(self.severity, join(messages), self._failure_evidence + self._gap_evidence, measured)
        if self.gaps:
            return self._make(Outcome.INCONCLUSIVE, join(self.gaps), self._gap_evidence + self._support, measured)
        if not self._support:
            return self._make(Outcome.INCONCLUSIVE, "nothing to judge was found", [], measured)
        return self._make(Outcome.PASS, passed, self._support, measured)

    def _make(
        self, outcome: Outcome, message: str, evidence: Sequence[Evidence], measured: Mapping[str, Any] | None
    ) -> Judgement:
        return Judgement(outcome, message, tuple(evidence[:MAX_EVIDENCE]), self.severity, measured or {})


def join(messages: Iterable[str], separator: str = "; ") -> str:
    """The first few messages, and how many more there are."""
    items = list(messages)
    more = len(items) - _MAX_LISTED
    return separator.join(items[:_MAX_LISTED]) + (f"{separator}and {more} more" if more > 0 else "")


def listed(names: Iterable[str]) -> str:
    """`s1, s2, s3`, cut after a few."""
    return join(names, ", ")
