"""The example with a machine in Renode (here a stand-in) and a container: they hear each other on one serial line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import swarmrig

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "renode"))
from fake_renode import wrapper  # noqa: E402

COMPILER = "riscv64-unknown-elf-gcc"
pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_machine_and_a_container(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"not installed: {COMPILER}")
    for name in ("renode-pair", "renode-and-container"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns("build", "root"))
    monkeypatch.setenv("RENODE", str(wrapper(tmp_path)))
    result = swarmrig.run(tmp_path / "renode-and-container/mixed.swarmrig.yml", output_dir=tmp_path / "runs")
    told = [f"{check.label}: {check.judgement.outcome.value} {check.judgement.message}" for check in result.checks]
    assert result.success, (told, result.problems)
    assert engine.containers(f"swarmrig.run={result.record.run_id}") == []
