"""Line nodes beside nodes that live by this machine's clock: what they are told is paced, and in time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
ASKED_BY_PROCESS = """
import json, os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 47100))
s.settimeout(0.1)
while True:
    s.sendto(json.dumps({'type': 'ping', 'payload': {'n': 7}}).encode(), ('line', 47100))
    try:
        message = json.loads(s.recv(2000))
    except OSError:
        continue
    print(message['type'], message['payload']['n'], 'of', message['src'], flush=True)
    time.sleep(0.1)
"""


async def test_a_process_and_a_line_node_speak_with_each_other(tmp_path: Path) -> None:
    program = tmp_path / "asks.py"
    program.write_text(ASKED_BY_PROCESS)
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(f"""
swarmrig: 1
duration: 60s
network: {{link: {{latency: 2ms}}}}
nodes:
  line: {{kind: line, command: [{sys.executable}, {HERE}/pinger.py]}}
  proc: {{kind: process, command: [{sys.executable}, -S, {program}]}}
checks:
  - console: {{node: proc, matches: "^pong 7 of line"}}
  - console: {{node: line, matches: "^ping 7 of proc"}}
""")
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    done = await run(plan, RunOptions(output_dir=tmp_path / "runs"))
    assert done.record.verdict is Outcome.PASS, (done.record.tier, done.record.failures)
