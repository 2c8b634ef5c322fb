"""Virtual time under bad conditions: a busy machine, a killed guest, an impatient user."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BUSY = "while True: pass"


@pytest.fixture
def busy_machine():
    """More to do than there are cores."""
    hogs = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


def test_neither_load_nor_quantum_nor_emulator_changes_anything(swarmrig_again, busy_machine):
    """A swarm of four. SWARMRIG_DIGEST_RUNS says how often, LOCKSTEP_QEMU_DIRECTORY where another QEMU is."""
    ways = [["--quantum", "1ms"], ["--quantum", "5ms"]]
    if other := os.environ.get("LOCKSTEP_QEMU_DIRECTORY"):
        ways += [[*way, "--qemu-path", f"{other}/qemu-system-riscv32"] for way in ways]
    times = int(os.environ.get("SWARMRIG_DIGEST_RUNS", "4"))

    runs = [swarmrig_again("run", "ring-fault", *ways[index % len(ways)]) for index in range(times)]

    digests = {run.results["run"]["digest"] for run in runs}
    assert len(digests) == 1 and None not in digests, [run.explain() for run in runs]
    assert {run.exit_code for run in runs} == {0}


@pytest.fixture
def long_run(tmp_path):
    """A run of an hour of virtual time, once its guests talk; ends with the test."""
    env = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "swarmrig", "run", "standard", "--duration", "1h", "--time", "virtual"]
    process = subprocess.Popen(
        [*command, "--output-dir", str(tmp_path / "runs")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(log.stat().st_size > 600 for log in (tmp_path / "runs").glob("*/nodes/n2/console.log")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


def results_of(tmp_path):
    (directory,) = (tmp_path / "runs").iterdir()
    return json.loads((directory / "results.json").read_text())


def test_an_interrupted_run_is_judged_but_has_no_digest(long_run, tmp_path):
    long_run.send_signal(signal.SIGINT)
    output, _ = long_run.communicate(timeout=30)
    assert long_run.returncode == 130, output
    run = results_of(tmp_path)["run"]
    assert run["interrupted"] is True
    assert run["digest"] is None
    assert 0 < run["run_ns"] < 3600 * 10**9


def test_a_killed_guest_is_named_and_the_others_go_on(long_run, tmp_path):
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"guest=n2" in words and str(tmp_path).encode() in environment:
            os.kill(int(entry.name), signal.SIGKILL)
            break
    else:
        raise AssertionError("the guest n2 was not found")
    (events,) = (tmp_path / "runs").glob("*/events.jsonl")
    deadline = time.monotonic() + 30
    while '"node.exited"' not in events.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    long_run.send_signal(signal.SIGINT)
    output, _ = long_run.communicate(timeout=30)
    assert "n2 ended by itself: SIGKILL" in output
    assert results_of(tmp_path)["verdict"] == "FATAL"
