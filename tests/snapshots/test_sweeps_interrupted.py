"""A sweep that is ended in the middle: judged where that is possible, and nothing is left in any case."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

HEAD = """\
swarmrig: 1
name: long
duration: 20s
network: {topology: star, hub: c, link: {latency: 5ms}}
nodes: {c: {role: coordinator}, a: {config: {tdm_slot: 1}}}
checks: [all_nodes_boot]
faults:
"""
FAULTS = "".join(f"  - {{id: cut{n}, at: 1s, cut: {{between: [c, a], for: 100ms}}}}\n" for n in range(200))
GONE_S = 10.0


def mentioning(place: Path) -> list[int]:
    """Processes whose environment or command names the test's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(place).encode() in text:
                found.append(int(entry.name))
    return found


@contextmanager
def sweeping(place: Path):
    """A sweep in the middle of its forks."""
    (place / "long.swarmrig.yml").write_text(HEAD + FAULTS)
    process = subprocess.Popen(
        [sys.executable, "-m", "swarmrig", "sweep", "long.swarmrig.yml", "--fork", "always", "--json"],
        cwd=place, stdout=subprocess.PIPE, text=True, env={**os.environ, "SWARMRIG_STATE_DIR": str(place / "state")},
    )  # fmt: skip
    try:
        assert json.loads(process.stdout.readline())["kind"] == "run"
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left(tmp_path, number):
    with sweeping(tmp_path) as process:
        assert len(mentioning(tmp_path)) > 4  # the rig, networks and guests
        process.send_signal(number)
        rest = process.stdout.read()
        code = process.wait(timeout=60)
    if number is signal.SIGINT:
        assert code == 130
        result = json.loads(rest.splitlines()[-1])
        assert result["results"]["exit_code"] == 130
        assert len(result["results"]["runs"]) < 200
        assert (Path(result["directory"]) / "sweep.json").exists()
    end = time.monotonic() + GONE_S
    while mentioning(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    assert mentioning(tmp_path) == []
