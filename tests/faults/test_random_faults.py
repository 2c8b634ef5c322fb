"""Random swarms with random faults: whatever is drawn, nothing is left, and no verdict is without its reasons.

`SOAK_RUNS=100 pytest tests/faults/test_random_faults.py` draws a hundred.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from random_faults import are_apart, random_scenario
from test_fault_kinds import INSTALLED

from swarmrig.model.facts import FaultStage
from swarmrig.model.verdict import EXIT_CODES, Outcome
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.runtime.verdict import conclude

SEEDS = range(int(os.environ.get("SOAK_RUNS", "3")))


def finish(seed: int, output: Path) -> FinishedRun:
    async def go() -> FinishedRun:
        return await run(await make_plan(random_scenario(seed, INSTALLED), INSTALLED), RunOptions(output_dir=output))

    return anyio.run(go)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_verdict_has_its_reasons(seed: int, tmp_path: Path) -> None:
    record = finish(seed, tmp_path).record
    assert record.failures == ()  # left over, died, or could not be stopped
    assert record.digest is not None
    assert record.verdict is conclude(record.checks, ()) and record.exit_code == EXIT_CODES[record.verdict]
    for fault in record.faults:
        stages = [stage for stage, _ in fault.stages]
        assert fault.message
        assert bool({FaultStage.INJECTED, FaultStage.FAILED} & set(stages)) == (fault.status != "never fired")
    failed = [result for result in record.checks if result.judgement.outcome is not Outcome.PASS]
    if are_apart(seed):
        assert not failed, failed
    ids = [fault.id for fault in record.faults]
    for result in failed:  # nothing but faults disturbs these swarms
        assert any(name in result.label + result.judgement.message for name in ids), result
