"""A disk that is full before a run, or gets full meanwhile: told with place and remedy; what is there can be seen."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

IN_A_SMALL_DISK = """\
mount -t tmpfs -o size=$1 none disk || exit 77
[ -z "$2" ] || head -c 1m /dev/zero >disk/ballast 2>/dev/null
"$3" -m swarmrig run smoke --output-dir disk; echo "run: $?"
"$3" -m swarmrig runs list --output-dir disk; echo "list: $?"
"""


@pytest.mark.parametrize(
    ("size", "ballast", "state"), [("64k", "full", "unfinished    run "), ("400k", "", "FATAL         run ")]
)
def test_a_full_disk_is_told_and_what_is_there_can_be_seen(bare_environment, tmp_path, size, ballast, state):
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", IN_A_SMALL_DISK, "sh", size, ballast,
         sys.executable],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if "run: " not in done.stdout:
        pytest.skip(f"no mounts of one's own here: {done.stdout}")
    assert "run: 3" in done.stdout, done.stdout
    assert re.search(r"disk/smoke-\S+( cannot be written)?: No space left on device", done.stdout)
    assert "hint: free some space, or use --output-dir" in done.stdout
    assert "list: 0" in done.stdout
    assert state in done.stdout
    assert "Traceback" not in done.stdout
