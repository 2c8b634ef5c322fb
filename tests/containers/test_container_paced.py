"""A container beside guests in lockstep: they talk, and each guest can be repeated to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.replay.alone import SoloOptions, replay_node
from swarmrig.replay.finished import open_finished
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = [pytest.mark.anyio, pytest.mark.root]

MIXED = """
swarmrig: 1
name: beside
duration: 60s
network: {topology: star, hub: hub, link: {latency: 5ms, loss: 2%}}
nodes:
  hub: {role: coordinator}
  s1: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
  app:
    kind: container
    image: swarmrig-test:1
    command:
      - sh
      - -c
      - |
        trap 'exit 0' TERM
        echo here we are
        (while :; do echo beat; sleep 0.05; done) &
        while :; do ping -c 1 -W 1 hub; ping -c 1 -W 1 s1; done
faults:
  - {at: 1s, reset: {node: s1}}
  - {at: 1500ms, cut: {between: [app, hub], for: 500ms}}
  - {at: 2500ms, power_cycle: {node: app, for: 500ms, says: here we are}}
checks:
  - console: {node: app, matches: "bytes from", count: {min: 20}}
  - frames: {filter: icmp.type == 0, count: {min: 20}}
"""


async def finished(directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(MIXED)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    done = await run(plan, RunOptions(output_dir=directory / "runs"))
    write_reports(done.record, done.directory)
    return done


async def test_a_container_among_guests_and_the_guests_alone_afterwards(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await finished(tmp_path)
    record = done.record
    told = [f"{check.label}: {check.judgement.message}" for check in record.checks]
    assert (record.verdict, record.tier) == (Outcome.PASS, "recorded"), (told, record.failures)
    assert record.pace is not None and record.pace.handed_over > 20 and record.pace.lost == 0
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone")  # what guests lived needs no engine
    for node in ("hub", "s1"):
        comparison = await replay_node(
            open_finished(done.directory), node, Registry.load(), SoloOptions(tmp_path / "solo")
        )
        assert comparison.equal and not comparison.warnings, comparison
