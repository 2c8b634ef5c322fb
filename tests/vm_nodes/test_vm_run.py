"""Runs with virtual machines, from file to verdict; and nothing of them is left, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from vm_guests import PASSWORD, Linux

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.session import open_swarm
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
PATIENCE_S = 100.0

MIXED = """
swarmrig: 1
name: mixed
duration: 100s
nodes:
  hub: {role: coordinator}
  web:
    LINUX
    login: {user: root, password: PASSWORD}
    boot_commands: ["ping -c 2 -W 20 $SWARMRIG_TARGET"]
    ready: "2 packets received"
  client:
    kind: process
    command: [PYTHON, CLIENT]
checks:
  - console: {node: web, matches: "^2 packets transmitted, 2 packets received"}
  - console: {node: client, matches: "^hello from web"}
  - frames: {filter: ip.proto == 1, count: {min: 4}}
faults:
  - {when: {node: web, console: "2 packets received"}, console_type: {node: web, text: "echo $((6 * 7))", says: "^42"}}
"""
CLIENT = """
import time
import urllib.request

while True:
    try:
        print(urllib.request.urlopen("http://web/", timeout=20).read().decode(), flush=True)
        break
    except OSError as error:
        print(error, flush=True)
        time.sleep(0.5)
time.sleep(100)
"""
BARE = """
swarmrig: 1
name: bare
duration: 100s
nodes:
  vm: {kind: vm, kernel: KERNEL, memory: 16MiB, accel: tcg, disk: DISK}
checks:
  - console: {node: vm, matches: "^never said"}
"""


TIRED = '{node: vm, text: "Kernel panic - not syncing: tired", says: "^never"}'


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SWARMRIG_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


async def finished(text: str, directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    return await run(plan, RunOptions(output_dir=directory / "runs"))


@pytest.mark.root
@pytest.mark.slow
async def test_a_guest_talks_with_a_device_and_serves_a_program(linux: Linux, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    done = await finished(
        _filled(MIXED, linux).replace("PYTHON", sys.executable).replace("CLIENT", "./client.py"), tmp_path
    )
    assert done.record.verdict is Outcome.PASS, done.record
    assert not done.record.failures
    provenance = json.loads((done.directory / "provenance.json").read_text())["nodes"]["web"]
    assert provenance["kernel"] == str(linux.kernel) and len(provenance["initrd_sha256"]) == 64
    events = [json.loads(line) for line in (done.directory / "events.jsonl").read_text().splitlines()]
    times = [event["t"] for event in events if event["source"] == "web" and event["kind"] == "console"]
    assert times and times == sorted(times)
    assert [event["source"] for event in events if event["kind"] == "node.ready"] == ["web"]


LED = """
swarmrig: 1
name: led
duration: 100s
nodes:
  web:
    LINUX
    login: {user: root, password: PASSWORD}
  other: {kind: vm, kernel: BARE, memory: 16MiB, accel: tcg}
"""


def test_who_leads_a_swarm_by_hand_runs_commands(linux: Linux, bare: Path, tmp_path: Path) -> None:
    path = tmp_path / "led.swarmrig.yml"
    path.write_text(_filled(LED, linux).replace("BARE", str(bare)))
    with open_swarm(path, output_dir=tmp_path / "runs") as swarm:
        web, other = swarm.node("web"), swarm.node("other")
        assert web.succeed("echo $SWARMRIG_NODE", timeout="120s") == "web\n"
        assert web.fail("echo no; exit 3") == "no\n"
        assert web.execute("exit 3").status == 3
        with pytest.raises(AssertionError, match=r"(?s)'echo why; false' ended with exit 1.*why"):
            web.succeed("echo why; false")
        with pytest.raises(AssertionError, match="'true' should have failed"):
            web.fail("true")
        with pytest.raises(SwarmrigError, match="other"):
            other.execute("true")


async def test_a_panic_ends_the_run_and_is_told(bare: Path, tmp_path: Path) -> None:
    text = BARE.replace("KERNEL", str(bare)).replace("DISK", _disk(tmp_path)).replace("never said", "said nothing")
    text += f"faults:\n  - {{when: {{node: vm, console: ^beat}}, console_type: {TIRED}}}\n"
    done = await finished(text, tmp_path)
    assert done.record.verdict is not Outcome.PASS
    assert "node vm: its kernel gave up: said Kernel panic - not syncing: tired" in str(done.record.failures[0])
    assert done.record.run_ns < PATIENCE_S * 1e9


async def test_a_rig_that_is_killed_leaves_no_guest_and_no_overlay(bare: Path, tmp_path: Path, own_state: Path) -> None:
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(BARE.replace("KERNEL", str(bare)).replace("DISK", _disk(tmp_path)))
    rig = subprocess.Popen(
        [sys.executable, "-m", "swarmrig", "run", str(path), "--output-dir", str(tmp_path / "runs")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with anyio.fail_after(PATIENCE_S):
            while not any(b"ready" in log.read_bytes() for log in tmp_path.glob("runs/*/nodes/vm/console.log")):
                await anyio.sleep(0.05)
        (overlay,) = own_state.rglob("disk-vm.qcow2")
        emulator = _emulator(overlay)
        os.kill(rig.pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE_S):
            while _emulator(overlay) == emulator or overlay.exists():
                await anyio.sleep(0.05)
    finally:
        rig.kill()
        rig.wait()
    assert (tmp_path / "base.img").read_bytes() == bytes(1 << 20)


def _filled(text: str, linux: Linux) -> str:
    return text.replace("LINUX", linux.yaml.replace(", ", "\n    ")).replace("PASSWORD", PASSWORD)


def _disk(directory: Path) -> str:
    (directory / "base.img").write_bytes(bytes(1 << 20))
    return str(directory / "base.img")


def _emulator(overlay: Path) -> int | None:
    """The process that has the overlay as its disk."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(overlay).encode() in (entry / "cmdline").read_bytes():
                return int(entry.name)
        except OSError:
            continue
    return None
