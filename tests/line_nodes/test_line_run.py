"""Runs with line nodes, from file to verdict: exact in virtual time, and named when they fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
TWO = """
swarmrig: 1
name: two
duration: 1s
time: {time}
network: {{link: {{latency: 3ms}}}}
nodes:
  a: {{kind: line, command: [{python}, {here}/pinger.py], settings: {{to: b, period_us: 100000{more}}}, transport: {transport}}}
  b: {{kind: line, command: [{python}, {here}/pinger.py], settings: {{x: 1{more}}}, transport: {transport}}}
checks:
  - console: {{node: a, matches: "^pong 5 of b"}}
"""


async def finished(text: str, directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    return await run(plan, RunOptions(output_dir=directory / "runs"))


def two(**values: Any) -> str:
    given = {"python": sys.executable, "here": HERE, "more": "", "transport": "socket", "time": "virtual", **values}
    return TWO.format(**given)


async def test_it_is_exact(tmp_path: Path) -> None:
    done = await finished(two(), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record.failures
    said = (done.directory / "nodes" / "b" / "console.log").read_text().splitlines()
    assert said[0] == "ready: b of a,b at 0"
    assert said[1] == "ping 1 of a sent 100000 at 106000", said  # ARP is known, or asked once: there and back
    print(said)
