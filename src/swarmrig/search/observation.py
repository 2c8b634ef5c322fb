"""What a search keeps of a run: verdicts, proofs, coverage. The rest is in its directory, if that is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarmrig.errors import HostError
from swarmrig.model.facts import ProofStatus
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import Scenario
from swarmrig.model.verdict import CheckResult, Outcome
from swarmrig.runtime.run import FinishedRun
from swarmrig.runtime.verdict import FAULT
from swarmrig.search.coverage import template_of

_MORE = re.compile(r" and \d+ more.*")
_WORD = re.compile(r"[\w.-]*\w")


@dataclass(frozen=True, slots=True)
class Break:
    """A check that does not hold. Breaks are the same when all but the message are."""

    check: str
    """Its label."""
    outcome: str
    state: str
    """The message without numbers, and with roles in place of names."""
    message: str

    @property
    def signature(self) -> tuple[str, str, str]:
        return self.check, self.outcome, self.state


@dataclass(frozen=True, slots=True)
class Observation:
    """One run of a schedule."""

    breaks: tuple[Break, ...]
    checks: Mapping[str, str]
    """Label to what it counted as."""
    proofs: Mapping[str, str]
    """Fault to whether it is proved."""
    failures: tuple[str, ...]
    """Of the rig and of emulators: such a run says nothing."""
    features: frozenset[str]
    digest: str | None
    tier: str
    wall_s: float
    forked: bool
    directory: str | None = None
    """Where its evidence is, if it was kept."""

    @property
    def proved(self) -> frozenset[str]:
        return frozenset(name for name, status in self.proofs.items() if status == ProofStatus.PROVED)

    def breaking(self, signature: tuple[str, str, str]) -> bool:
        """Is this very check broken, in this very way?"""
        return not self.failures and any(each.signature == signature for each in self.breaks)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"features": sorted(self.features)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Observation:
        """HostError when it is none."""
        try:
            breaks = tuple(Break(**each) for each in data["breaks"])
            return cls(
                **{
                    **data,
                    "breaks": breaks,
                    "failures": tuple(data["failures"]),
                    "features": frozenset(data["features"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise HostError(f"this is not what a search writes: {error}") from error


def broken_run(reason: str) -> Observation:
    """Of a run that never came to an end."""
    return Observation((), {}, {}, (reason,), frozenset(), None, "", 0.0, False)


def observed(
    finished: FinishedRun, features: frozenset[str], checks: frozenset[str], wall_s: float, *, forked: bool, kept: bool
) -> Observation:
    """What a finished run shows; of the checks only those named in `checks`, or all for none."""
    record = finished.record
    results = [result for result in record.checks if result.name != FAULT and (not checks or result.label in checks)]
    return Observation(
        breaks=tuple(_break(result, record) for result in results if _fails(result)),
        checks={result.label: result.judgement.counted.value for result in results},
        proofs={fault.id: fault.status.value for fault in record.faults},
        failures=record.failures,
        features=features,
        digest=record.digest,
        tier=record.tier,
        wall_s=round(wall_s, 3),
        forked=forked,
        directory=str(finished.directory) if kept else None,
    )


def _fails(result: CheckResult) -> bool:
    """As it would fail `swarmrig run`."""
    return result.judgement.counted in (Outcome.FAIL, Outcome.FATAL)


def _break(result: CheckResult, record: RunRecord) -> Break:
    judgement = result.judgement
    return Break(
        result.label,
        judgement.outcome.value,
        state_of(judgement.message, record.scenario),
        judgement.message,
    )


def state_of(message: str, scenario: Scenario) -> str:
    """The first thing that a message tells, with roles in place of names of nodes, and without numbers."""
    words = {node.id: f"<{node.role}>" for node in scenario.nodes}
    first = _MORE.sub("", message.split("; ")[0])
    return template_of(_WORD.sub(lambda match: words.get(match[0], match[0]), first))
