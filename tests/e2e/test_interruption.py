"""Ctrl-C, SIGTERM and SIGKILL at any moment: judged where that is possible, and nothing left in any case."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("SWARMRIG_KILLS", "6"))


def tagged(state: Path) -> list[int]:
    """Processes whose environment names this test's state directory."""
    needle = f"SWARMRIG_STATE_DIR={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if needle in environment:
                found.append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children] + [one for child in children for one in descendants(int(child))]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, deadline_s):
    """Poll from outside what no event tells us; returns the seconds it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < deadline_s:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline_s} s")


@pytest.fixture
def start(tmp_path):
    """Start `swarmrig run` in the background; whatever it leaves is killed after the test."""
    started = []

    def call(*arguments: str):
        env = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "swarmrig", "run", *arguments, "--output-dir", str(tmp_path / "runs")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


def booted(runs: Path) -> bool:
    return any(b"app_main" in log.read_bytes() for log in runs.glob("*/nodes/*/console.log"))


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM]])
def test_an_interrupted_run_is_judged_and_cleaned(start, tmp_path, signals):
    process = start("smoke", "--time", "real")
    wait_until(lambda: booted(tmp_path / "runs"), 20)
    children = descendants(process.pid)
    assert children
    for number in signals:
        process.send_signal(number)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 130, output
    assert not [pid for pid in children if alive(pid)]
    assert not list((tmp_path / "state").iterdir())
    (directory,) = (tmp_path / "runs").iterdir()
    if len(signals) == 1:
        results = json.loads((directory / "results.json").read_text())
        assert results["run"]["interrupted"] is True
        assert results["exit_code"] == 130


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_nothing_survives_a_sigkill_at_any_moment(start, tmp_path, seed):
    generator = random.Random(seed)
    process = start("heterogeneous", "--time", generator.choice(["real", "virtual"]))
    delay = generator.uniform(0.05, 3.0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    family = descendants(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not [pid for pid in family if alive(pid)], 2)
    state = tmp_path / "state"
    wait_until(lambda: not state.exists() or not list(state.iterdir()), 2)
    left = [path for path in (tmp_path / "runs").rglob("*") if path.is_socket() or path.is_fifo()]
    assert not left
