"""Runs the real command line on real guests and reads what it left."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest


@dataclass
class Finished:
    """A finished `swarmrig` process and its run directory."""

    exit_code: int
    stdout: str
    stderr: str
    output: Path

    @cached_property
    def directory(self) -> Path:
        (directory,) = self.output.iterdir()
        return directory

    @cached_property
    def results(self) -> dict:
        return json.loads((self.directory / "results.json").read_text())

    @cached_property
    def checks(self) -> dict[str, str]:
        return {check["label"]: check["outcome"] for check in self.results["checks"]}

    @property
    def turned(self) -> set[str]:
        """Labels of the checks that did not pass."""
        return {label for label, outcome in self.checks.items() if outcome != "PASS"}

    def console(self, node: str) -> str:
        return (self.directory / "nodes" / node / "console.log").read_text(errors="replace")

    def explain(self) -> str:
        return f"exit {self.exit_code}\n{self.stdout[-3000:]}\n{self.stderr[-3000:]}"


@pytest.fixture
def swarmrig(tmp_path):
    """swarmrig("run", "smoke", …) -> Finished; state and output are the test's own."""
    return caller(tmp_path)


@pytest.fixture
def swarmrig_again(tmp_path):
    """As `swarmrig`, with an output directory of its own for each call."""
    numbers = itertools.count()
    return lambda *arguments: caller(tmp_path, f"runs{next(numbers)}")(*arguments)


@pytest.fixture(scope="module")
def module_swarmrig(tmp_path_factory):
    """As `swarmrig_again`, for runs that several tests look at."""
    directory, numbers = tmp_path_factory.mktemp("module"), itertools.count()
    return lambda *arguments: caller(directory, f"runs{next(numbers)}")(*arguments)


def caller(tmp_path: Path, name: str = "runs"):
    output = tmp_path / name

    def call(*arguments: str | Path, timeout: float = 200, **environment: str) -> Finished:
        env = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1", **environment}
        command = [sys.executable, "-m", "swarmrig", *map(str, arguments)]
        if arguments[0] in ("run", "up"):
            command += ["--output-dir", str(output)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=env, stdin=subprocess.DEVNULL, cwd=tmp_path
        )
        return Finished(done.returncode, done.stdout, done.stderr, output)

    return call


@pytest.fixture
def scenario_file(tmp_path):
    """Write a native scenario and return its path."""

    def write(text: str, name: str = "scenario.swarmrig.yml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
