"""The command line as a user meets it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Completed = subprocess.CompletedProcess[str]
Swarmrig = Callable[..., Completed]


@pytest.fixture
def swarmrig(tmp_path: Path) -> Swarmrig:
    """Run `swarmrig ARGUMENTS...` in an empty directory without SWARMRIG_ variables; returns when it has ended."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Completed:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SWARMRIG_")}
        return subprocess.run(
            [sys.executable, "-m", "swarmrig", *arguments],
            env={**inherited, "COLUMNS": "100", **(env or {})},
            cwd=cwd or tmp_path,
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
