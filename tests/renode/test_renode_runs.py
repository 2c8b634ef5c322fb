"""Whole runs with machines in Renode: faults that are proved, tiers, and what is left when the rig is killed."""

import os
import signal
import subprocess
import sys
import time as clock
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from fake_renode import wrapper
from node_bench import ELF

import swarmrig
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import plan_loaded
from swarmrig.scenario.load import load_scenario

SCENARIO = """
swarmrig: 1
name: board
duration: 2s
time: TIME
network: {topology: mesh, link: {latency: 10ms}}
defaults:
  kind: renode
  machine: stm32f4-discovery
  NETWORK: sysbus.usart1
  step: 10ms
  firmware: {image: fw.elf}
nodes: {left: {}, right: {}}
"""
FAULTS = """
faults:
  - {at: 200ms, memory_flip: {node: left, address: 0x20000010, bits: 3}}
  - {at: 500ms, pause: {node: right, for: 300ms}}
  - {at: 900ms, cut: {between: [left, lan], for: 200ms}}
  - {at: 1.3s, power_cycle: {node: left, for: 100ms, says: "^boot: "}}
  - {at: 1.7s, reset: {node: right, says: "^boot: "}}
checks:
  - console: {node: left, matches: "peer says: ping"}
  - survives: {}
"""
ARM = ELF.replace(b"\xf3\0", b"\x28\0")


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    """`scenario(time=..., network=..., more=...)`: a file whose Renode is the stand-in."""
    (tmp_path / "fw.elf").write_bytes(ARM)
    (tmp_path / "bin").mkdir()

    def make(time="virtual", network="serial", more="", **behaviour):
        monkeypatch.setenv("RENODE", str(wrapper(tmp_path / "bin", **behaviour)))
        path = tmp_path / "board.swarmrig.yml"
        path.write_text(SCENARIO.replace("TIME", time).replace("NETWORK", network) + more)
        return path

    return make


def test_faults_of_machines_in_renode_are_proved(scenario, tmp_path):
    result = swarmrig.run(scenario(more=FAULTS), output_dir=tmp_path / "runs")
    told = [(check.label, check.judgement.outcome.value, check.judgement.message) for check in result.checks]
    assert result.verdict is Outcome.PASS, (told, result.problems)
    assert len(result.record.faults) == 5 and result.record.tier == "exact"


def test_a_reset_that_did_not_boot_it_is_no_pass(scenario, tmp_path):
    """The evidence counts, not that the monitor was asked."""
    fault = 'faults:\n  - {at: 100ms, reset: {node: right, says: "^no such words"}}\n'
    short = {"duration": "300ms"}
    result = swarmrig.run(scenario(more=fault), overrides=short, output_dir=tmp_path / "runs")
    assert result.verdict is Outcome.FAIL


@pytest.mark.parametrize(
    ("time", "network", "tier"),
    [("auto", "serial", "exact"), ("auto", "ethernet", "scheduled"), ("real", "serial", "scheduled")],
)
def test_frames_through_a_tap_cost_the_tier(scenario, time, network, tier):
    path, registry = scenario(time, network), Registry.load()
    plan = anyio.run(plan_loaded, lambda: load_scenario(path, registry=registry), registry)
    assert plan.tier == tier
    if network == "ethernet":
        assert "TAP" in str(plan.reasons)


@pytest.mark.parametrize("time", ["virtual", "real"])
def test_nothing_survives_a_rig_that_is_killed(scenario, tmp_path, time):
    path = scenario(time, log=str(tmp_path / "commands"))
    program = f"import swarmrig; swarmrig.run({str(path)!r}, overrides={{'duration': '10m'}})"
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as rig:
        assert _until(lambda: "macro" in _text(tmp_path / "commands") and _stand_ins(tmp_path)), "it has begun"
        rig.send_signal(signal.SIGKILL)
        rig.wait()
    assert _until(lambda: not _stand_ins(tmp_path))


def _text(path):
    return path.read_text() if path.exists() else ""


def _stand_ins(place):
    """Those whose behaviour names this place, wherever they are in the tree of processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            found += [pid] * (os.fsencode(place) in words and b"fake_renode" in words)
    return found


def _until(condition):
    end = clock.monotonic() + 60
    while not (met := condition()) and clock.monotonic() < end:
        clock.sleep(0.02)
    return met
