"""The command line, inside the test's process (fast) or as a process of its own (real)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from swarmrig.cli.main import main

Completed = subprocess.CompletedProcess[str]
Swarmrig = Callable[..., Completed]


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, no SWARMRIG_ variables, state of our own."""
    for name in [name for name in os.environ if name.startswith("SWARMRIG_")]:
        monkeypatch.delenv(name)
    state = tmp_path.parent / f"{tmp_path.name}-state"
    work = tmp_path
    monkeypatch.setenv("SWARMRIG_STATE_DIR", str(state))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(work)


@pytest.fixture
def swarmrig(bare_environment: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Swarmrig:
    """Call the command line here: swarmrig("plan", "smoke") -> returncode, stdout, stderr."""

    def call(*arguments: str, env: Mapping[str, str] | None = None) -> Completed:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            code = main(arguments)
        output = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, output.out, output.err)

    return call


@pytest.fixture
def swarmrig_process(bare_environment: None) -> Swarmrig:
    """The same as a process of its own."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Completed:
        return subprocess.run(
            [sys.executable, "-m", "swarmrig", *arguments],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    """A small valid scenario."""
    path = tmp_path / "pair.swarmrig.yml"
    path.write_text(
        """\
swarmrig: 1
name: pair
duration: 10s
network: {topology: star, hub: coord, link: {latency: 5ms}}
nodes:
  coord: {role: coordinator}
  s1: {role: sensor, config: {scenario: 1, tdm_slot: 1}}
checks: [all_nodes_boot]
"""
    )
    return path


@pytest.fixture
def terminal() -> tuple[int, int]:
    """A pseudo-terminal: the end of the emulator, the end of the program. The test closes both."""
    try:
        return os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals here: {error.strerror}")
