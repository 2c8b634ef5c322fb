"""Nodes of all kinds in one swarm: emulated devices, a container, programs and models; and whenever the rig is killed,
nothing of any of them is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import swarmrig
from swarmrig.proc import probe

HERE = Path(__file__).parent
DAEMON = HERE.parent / "process_nodes" / "daemon.py"
PINGER = HERE.parent / "line_nodes" / "pinger.py"
pytestmark = [pytest.mark.root]
BEAT = "trap 'exit 0' TERM; echo ready; while :; do echo beat; sleep 0.1; done"
PINGS = "while :; do ping -c 1 gateway; sleep 0.1; done"
MIXED = f"""\
swarmrig: 1
name: mixed
duration: 60s
network: {{topology: star, hub: gateway, link: {{latency: 2ms}}}}
nodes:
  gateway:
    kind: container
    role: gateway
    build: {{context: app}}
    command: [sh, -c, "{BEAT}"]
    health: {{command: ["true"], interval: 50ms}}
  s1: {{config: {{scenario: 2}}}}
  s2: {{config: {{scenario: 3}}}}
  sensor: {{kind: python, model: sensor, settings: {{to: gateway}}}}
  cloud: {{kind: process, command: [busybox, sh, -c, "{PINGS}"], ready: {{log: "bytes from"}}}}
  pinger: {{kind: line, command: [{sys.executable}, {PINGER}], settings: {{to: asked, period_us: 100000}}}}
  asked: {{kind: line, command: [{sys.executable}, {PINGER}]}}
  daemon: {{kind: process, command: [{sys.executable}, -S, {DAEMON}]}}
checks:
  - console: {{node: gateway, matches: "^beat"}}
  - console: {{node: cloud, matches: "64 bytes from"}}
  - console: {{node: s1, matches: app_main}}
  - console: {{node: pinger, matches: "^pong 5 of asked"}}
  - frames: {{filter: udp, node: sensor, count: {{min: 2}}}}
"""


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM swarmrig-test:1\n")
    path = tmp_path / "mixed.swarmrig.yml"
    path.write_text(MIXED)
    return path


def test_all_kinds_in_one_swarm(engine: Any, mixed: Path, tmp_path: Path) -> None:
    result = swarmrig.run(mixed, output_dir=tmp_path / "runs")
    told = [f"{check.label}: {check.judgement.outcome.value} {check.judgement.message}" for check in result.checks]
    assert result.success, (told, result.problems)
    assert {node.kind for node in result.record.scenario.nodes} == {"container", "qemu", "python", "process", "line"}
    events = [json.loads(line) for line in (result.directory / "events.jsonl").read_text().splitlines()]
    ready = [event["source"] for event in events if event["kind"] == "node.ready"]
    assert sorted(ready) == ["cloud", "gateway"]  # of the others, nobody has said how to see that
    assert remains(engine, result.record.run_id) == ([], [])


def remains(engine: Any, run_id: str) -> tuple[list[Any], list[str]]:
    """Containers and processes of a run."""
    containers = engine.containers(f"swarmrig.run={run_id}")
    return containers, [probe.command(pid) for pid in members(run_id)]


def members(run_id: str) -> list[int]:
    return [pid for pid in probe.all_pids() if probe.variable(pid, probe.TAG) == run_id and probe.is_running(pid)]


def consoles(runs: Path, node: str) -> bytes:
    return b"".join(log.read_bytes() for log in runs.glob(f"*/nodes/{node}/console.log"))


def has_run(runs: Path) -> bool:
    return bool(list(runs.glob("*/nodes/*")))


def has_emulator(runs: Path) -> bool:
    return bool(list(runs.glob("*/nodes/s1/argv")))


def has_container(runs: Path) -> bool:
    return bool(list(runs.glob("*/nodes/gateway/argv")))


def is_up(runs: Path) -> bool:
    said = (b"gateway", b"beat"), (b"cloud", b"bytes from"), (b"s1", b"app_main"), (b"daemon", b"daemon ")
    return all(words in consoles(runs, node.decode()) for node, words in said)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "has a directory": has_run,
    "starts the container": has_container,
    "starts emulators": has_emulator,
    "is up": is_up,
}


@pytest.mark.parametrize("moment", [*MOMENTS, "ends"])
def test_whenever_the_rig_is_killed_nothing_of_any_node_is_left(
    engine: Any, mixed: Path, tmp_path: Path, moment: str
) -> None:
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "swarmrig", "run", str(mixed), "--output-dir", str(runs)]
    text = mixed.read_text().partition("checks:")[0] + "checks:\n  - no_crashes\n"  # decided at the end only
    mixed.write_text(text)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as rig:
        try:
            until(lambda: MOMENTS.get(moment, is_up)(runs) or rig.poll() is not None)
            assert rig.poll() is None
            (directory,) = runs.iterdir()
            run_id = directory.name.rsplit("-", 1)[-1]
            pids = {pid: probe.start_time(pid) for pid in (*members(run_id), *daemons(runs))}
            networks = {network for pid in pids if (network := network_of(pid)) not in (None, network_of(os.getpid()))}
            if moment in ("is up", "ends"):
                assert len(engine.containers(f"swarmrig.run={run_id}")) == 1
                kinds = " ".join(map(probe.command, pids))
                assert kinds.count("qemu-system-") >= 2
                assert all(words in kinds for words in ("daemon.py", "busybox sh", "pinger.py"))
                assert len(networks) >= 3  # of the container and of two programs
            if moment == "ends":
                rig.send_signal(signal.SIGINT)
                until(lambda: any(not probe.is_running(pid, start) for pid, start in pids.items()))
        finally:
            rig.kill()
    until(lambda: remains(engine, run_id) == ([], []))
    until(lambda: not any(probe.is_running(pid, start) for pid, start in pids.items()))
    assert networks.isdisjoint(map(network_of, probe.all_pids()))
    state = Path(os.environ["SWARMRIG_STATE_DIR"])
    until(lambda: not (state / run_id).exists())
    if moment == "is up":
        removed = json.loads((directory / "aborted.json").read_text())["removed"]
        assert removed["containers"] == [f"swarmrig-{run_id}-gateway"] and len(removed["processes"]) >= 6


def test_a_rig_that_is_killed_while_it_builds_an_image_leaves_no_build(
    engine: Any, mixed: Path, tmp_path: Path
) -> None:
    word = tmp_path.name  # no other test's
    (tmp_path / "app" / "Dockerfile").write_text(f"FROM swarmrig-test:1\nRUN echo {word} && sleep 300\n")
    command = [sys.executable, "-m", "swarmrig", "run", str(mixed), "--output-dir", str(tmp_path / "runs")]

    def building() -> list[str]:
        everything = engine.ask("GET", "/containers/json?all=1")
        return [each["Id"] for each in everything if word in each["Command"]]

    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as rig:
        try:
            until(building)
        finally:
            rig.kill()
    until(lambda: not building())


def daemons(runs: Path) -> list[int]:
    """Those that have forgotten whose they are, and tell it."""
    return [int(line.split()[1]) for line in consoles(runs, "daemon").splitlines() if line.startswith(b"daemon ")]


def network_of(pid: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    return None


def until(condition: Callable[[], Any], deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
