"""Verdicts: what a check concluded, on what evidence, and how a run is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmrig.model.scenario import SourceRef


class Outcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    FATAL = "FATAL"
    INCONCLUSIVE = "INCONCLUSIVE"


EXIT_CODES = {Outcome.PASS: 0, Outcome.WARN: 1, Outcome.FAIL: 2, Outcome.FATAL: 3}
EXIT_INTERRUPTED = 130

_RANK = {Outcome.PASS: 0, Outcome.WARN: 1, Outcome.FAIL: 2, Outcome.FATAL: 3}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A pointer into the run directory: `file` is relative to it; `line` (text) or `frame` (capture) is 1-based."""

    file: str
    line: int | None = None
    frame: int | None = None
    note: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
        if self.frame is not None:
            place += f"#{self.frame}"
        return f"{place} ({self.note})" if self.note else place


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one check says. `severity` is what its failure counts as; INCONCLUSIVE counts as that too."""

    outcome: Outcome
    message: str
    evidence: tuple[Evidence, ...] = ()
    severity: Outcome = Outcome.FAIL
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counted(self) -> Outcome:
        """PASS, WARN, FAIL or FATAL: an inconclusive check is never a pass."""
        return self.severity if self.outcome is Outcome.INCONCLUSIVE else self.outcome


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    label: str
    judgement: Judgement
    source: SourceRef | None = None
    """Where the scenario asks for it."""


def worst(outcomes: list[Outcome]) -> Outcome:
    """The verdict of several counted outcomes; PASS for none is the caller's mistake, so none is refused."""
    if not outcomes:
        raise ValueError("a verdict needs at least one outcome")
    return max(outcomes, key=_RANK.__getitem__)
