"""A disk that fills up in the middle of a run: said, counted as FATAL, and nothing left running."""

import os
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one and a half megabytes."""
    place = tmp_path / "runs"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", place]).returncode:
        pytest.skip("needs root to mount a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.root
def test_a_full_disk_is_no_pass(swarmrig, small_disk):
    run = swarmrig("run", "standard")
    assert run.exit_code == 3, run.explain()
    assert "No space left on device" in run.stdout + run.stderr
    assert "--output-dir" in run.stderr
    assert "Traceback" not in run.stderr
    left = subprocess.run(["pgrep", "-f", str(small_disk)], capture_output=True, text=True)
    assert left.stdout == ""
