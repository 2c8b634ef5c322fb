"""A finished run on bad links, and what is to be done with it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

SCENARIO = """\
swarmrig: 1
name: rough
duration: 4s
seed: 11
time: virtual
network:
  topology: star
  hub: c
  link: {latency: 5ms, jitter: 2ms, loss: 3%, duplicate: 5%, corrupt: 5%, reorder: 5%}
nodes:
  c: {role: coordinator}
  s1: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
  s2: {role: sensor, config: {scenario: 3, tdm_slot: 2}}
faults:
  - {at: 1s, cut: {between: [c, s1], for: 1s}}
checks:
  - all_nodes_boot
"""
NODES = ("c", "s1", "s2")


def run_swarmrig(place: Path, *arguments: object, **settings) -> subprocess.CompletedProcess:
    """The command line as a process of its own, with its output in `place`/runs."""
    command = [sys.executable, "-m", "swarmrig", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=place,
        env=environment(place), **settings,
    )  # fmt: skip


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "SWARMRIG_STATE_DIR": str(place / "state"), "SWARMRIG_OUTPUT_DIR": str(place / "runs")}


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """The directory of the run; nobody changes it."""
    return run_text(tmp_path_factory.mktemp("recorded"), SCENARIO)


def run_text(place: Path, text: str) -> Path:
    """Run a scenario; returns the run's directory."""
    file = place / "scenario.swarmrig.yml"
    file.write_text(text)
    done = run_swarmrig(place, "run", file)
    assert "tier exact" in done.stdout, done.stdout + done.stderr
    (directory,) = (place / "runs").iterdir()
    assert json.loads((directory / "results.json").read_text())["run"]["digest"]
    return directory


@pytest.fixture
def copy(recorded, tmp_path) -> Path:
    """A copy of the run that the test may change."""
    return shutil.copytree(recorded, tmp_path / "copy")


@pytest.fixture
def swarmrig(tmp_path):
    """swarmrig("diff", a, b) -> the finished process."""
    return lambda *arguments, **settings: run_swarmrig(tmp_path, *arguments, **settings)


@pytest.fixture
def change_results():
    """Change values of a run's results: change_results(directory, digest=None)."""

    def change(directory: Path, **values) -> Path:
        file = directory / "results.json"
        results = json.loads(file.read_text())
        results["run"].update(values)
        file.write_text(json.dumps(results))
        return directory

    return change


@pytest.fixture
def replaying(tmp_path):
    """`with replaying(run, ...) as process`: a replay that goes on meanwhile."""

    @contextmanager
    def start(*arguments: object):
        command = [sys.executable, "-m", "swarmrig", "replay", *map(str, arguments)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(tmp_path), cwd=tmp_path,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    return start


FAULTY = """\
swarmrig: 1
name: faulty
duration: 8s
seed: 5
time: virtual
network: {topology: star, hub: c, link: {latency: 5ms, jitter: 1ms}}
nodes:
  c: {role: coordinator}
  s1: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
faults:
  - {at: 500ms, console_type: {node: c, text: stats, says: uptime_ms=}}
  - {at: 2s, power_cycle: {node: s1, for: 1s}}
  - {at: 4s, reset: {node: c}}
  - {at: 4500ms, nvs_set: {node: s1, key: tdm_slot, value: 0, for: 500ms}}
checks: [all_nodes_boot]
"""


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> Path:
    """The directory of a run in which nodes were switched off and on, and reset; nobody changes it."""
    return run_text(tmp_path_factory.mktemp("faulty"), FAULTY)
