"""Directories of runs: of real ones, made once for all workers, and made by hand where the content matters."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.report_page.by_hand import Made

SCENARIO = """\
swarmrig: 1
name: {name}
duration: {duration}
time: virtual
network:
  topology: star
  hub: coord
  link: {{latency: 5ms, jitter: 1ms, loss: 1%}}
nodes:
  coord: {{role: coordinator, config: {{edge_tier: 2}}}}
  s1: {{role: sensor, config: {{scenario: 2, tdm_slot: 1}}}}
  s2: {{role: sensor, config: {{scenario: 3, tdm_slot: 2}}}}
faults:
  - {{at: 4s, cut: {{between: [coord, s1], for: 2s}}}}
  - {{at: 8s, reset: {{node: s2}}}}
checks:
  - all_nodes_boot
  - no_crashes
"""
FAILING = """\
  - console: {node: s1, matches: "never said", within: 8s}
  - latency: {p95: 2ms}
"""
KINDS = {
    "passing": SCENARIO.format(name="passing", duration="12s"),
    "failing": SCENARIO.format(name="failing", duration="12s") + FAILING,
    "interrupted": SCENARIO.format(name="interrupted", duration="2h"),
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """finished(kind): the directory of a real run; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def run(kind: str) -> Path:
        place = shared / f"report-{kind}"
        with (shared / f"report-{kind}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / "runs").exists():
                make_run(place, kind)
        (directory,) = (place / "runs").iterdir()
        return directory

    return run


@pytest.fixture
def a_run(finished, tmp_path):
    """a_run(kind): a copy of a real run, without the flash images."""

    def copied(kind: str) -> Path:
        source = finished(kind)
        return Path(shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("flash.bin")))

    return copied


def make_run(place: Path, kind: str) -> None:
    place.mkdir(exist_ok=True)
    file = place / "scenario.swarmrig.yml"
    file.write_text(KINDS[kind])
    command = [sys.executable, "-m", "swarmrig", "run", str(file), "--output-dir", str(place / "runs")]
    if kind == "passing":
        command.append("--report")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        told = []
        for line in process.stdout:
            told.append(line)
            if kind == "interrupted" and "cut-1: healed" in line:
                process.send_signal(signal.SIGINT)
    (place / "told.txt").write_text("".join(told))
    assert process.returncode == {"passing": 0, "failing": 2, "interrupted": 130}[kind], "".join(told)


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "by-hand")
