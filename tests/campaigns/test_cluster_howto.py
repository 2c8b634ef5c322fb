"""What docs/howto/run-on-a-cluster.md shows is done, on this machine, with ports of its own."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.campaigns.cluster_machinery import DEADLINE_S, Program

pytestmark = pytest.mark.timeout(240)
PAGE = Path(__file__).parents[2] / "docs/howto/run-on-a-cluster.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
CLI = {"scheduler": "distributed.cli.dask_scheduler", "worker": "distributed.cli.dask_worker"}


def test_the_commands_of_the_howto_work(tmp_path):
    for language, text in FENCE.findall(PAGE.read_text()):
        if language == "yaml" and text.startswith("# "):
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    (shell,) = (text for language, text in FENCE.findall(PAGE.read_text()) if language == "sh")
    scheduler_line, worker_line, campaign_line = (shlex.split(line) for line in shell.splitlines())
    programs = []
    try:
        words = ["0" if word == "8786" else word for word in scheduler_line[2:]]
        programs.append(Program(CLI["scheduler"], *words, "--no-dashboard", cwd=tmp_path))
        port = programs[0].wait_for(r"Scheduler at:\s+tcp://127\.0\.0\.1:(\d+)")[1]
        words = [word.replace("8786", port) for word in worker_line[2:]]
        programs.append(Program(CLI["worker"], *words, "--no-dashboard", "--local-directory", ".", cwd=tmp_path))
        programs[1].wait_for("Registered to:")
        words = [word.replace("8786", port) for word in campaign_line[1:]]
        done = subprocess.run(
            [sys.executable, "-m", "swarmrig", *words, "--no-report"],
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "rooms: PASS, 2 runs: 2 passed" in done.stdout
        assert not done.stderr
    finally:
        for program in reversed(programs):
            program.close()
