"""The verdict of a run from its results."""

from __future__ import annotations

from collections.abc import Sequence

from swarmrig.model.verdict import CheckResult, Outcome, worst

FAULT = "fault"
"""Name of the results that prove faults: necessary, but nothing that was checked of the swarm."""


def conclude(results: Sequence[CheckResult], failures: Sequence[str], *, strict: bool = False) -> Outcome:
    """PASS, WARN, FAIL or FATAL. A failure of the rig or of an emulator is FATAL; a run in which nothing
    was checked is at best WARN; `strict` counts WARN as FAIL."""
    counted = [result.judgement.counted for result in results]
    if failures:
        counted.append(Outcome.FATAL)
    if not any(result.name != FAULT for result in results):
        counted.append(Outcome.WARN)
    verdict = worst(counted)
    return Outcome.FAIL if strict and verdict is Outcome.WARN else verdict
