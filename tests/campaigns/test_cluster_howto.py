"""What docs/howto/run-on-a-cluster.md shows is done, on this machine, with ports of its own; and that TLS works."""

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import dask
import pytest
from tests.campaigns.cluster_machinery import DEADLINE_S, Cluster, Program, result_of, task, write_models

from swarmrig.campaigns.cluster import open_cluster

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
        assert "rooms: PASS, 3 runs: 3 passed" in done.stdout
        assert not done.stderr
    finally:
        for program in reversed(programs):
            program.close()


@pytest.mark.anyio
async def test_tls(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(make, check=True, capture_output=True)
    options = ["--protocol", "tls", "--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    write_models(tmp_path, duration="300ms")
    one = task(1, "models.swarmrig.yml")
    settings = {
        "distributed.comm.tls.ca-file": str(cert),
        "distributed.comm.tls.client.cert": str(cert),
        "distributed.comm.tls.client.key": str(key),
    }
    with ExitStack() as stack:
        ours = Cluster(tmp_path / "cluster", stack, options=[str(word) for word in options])
        ours.start_worker()
        with dask.config.set(settings):
            async with open_cluster(ours.address, [one], here=tmp_path, tell=print) as executor:
                (tmp_path / "out").mkdir()
                execution = await executor.execute(one, tmp_path / "out")
    assert result_of(execution)["results"]["verdict"] == "PASS"
