"""The command line in the test's process, and manifests as another program leaves them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarmrig.cli.main import main

sys.path.insert(0, str(Path(__file__).parent))

from fault_logs import Manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """suite("summarize", ...) -> returncode, stdout, stderr; started in tmp_path."""
    for name in [name for name in os.environ if name.startswith("SWARMRIG_") and name != "SWARMRIG_STATE_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        code = main(["suite", *map(str, arguments)])
        output = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, output.out, output.err)

    return call


@pytest.fixture
def summarized(suite, manifest: Manifest, tmp_path: Path):
    """Summarise the manifest as it stands: (document, returncode, stderr)."""

    def call(*options: object, mode: str = "baseline"):
        output = tmp_path / "summary.json"
        result = suite("summarize", "--manifest", manifest.write(), "--output", output, "--mode", mode, *options)
        document = json.loads(output.read_text()) if output.exists() else None
        return document, result.returncode, result.stderr

    return call
