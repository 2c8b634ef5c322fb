"""`on_failure` where emulators die: a guest is started again with its flash, at its place in the network."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.proc import probe
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
SCENARIO = """
swarmrig: 1
duration: 60s
time: real
nodes:
  a: {on_failure: {policy: restart, after: 50ms}}
checks:
  - frames: {filter: "csi.node == 0", count: {min: 100000}}  # not decided before it is ended
"""


async def test_a_guest_whose_emulator_dies_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(SCENARIO)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    options = RunOptions(output_dir=tmp_path / "runs")
    done: list[FinishedRun] = []

    async def crash() -> None:
        """When it has booted for the first time; and end the run when it has for the second."""
        await said(tmp_path, 1)
        (pid,) = [pid for pid in probe.descendants(os.getpid()) if "qemu-system" in probe.command(pid)]
        os.kill(pid, signal.SIGSEGV)
        await said(tmp_path, 2)
        options.interrupt.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crash)
        done.append(await run(plan, options))
    record = done[0].record
    assert record.failures == () and record.verdict is not Outcome.FATAL
    assert any("ended by itself: SIGSEGV" in each and "(1 of 3)" in each for each in record.warnings)
    events = (done[0].directory / "events.jsonl").read_text()
    assert events.count('"node.started"') == 2 and events.count('"node.exited"') == 1


async def said(directory: Path, boots: int) -> None:
    while True:
        logs = [log.read_text(errors="replace") for log in directory.glob("runs/*/nodes/a/console.log")]
        if logs and logs[0].count("POWERON") >= boots:
            return
        await anyio.sleep(0.05)
