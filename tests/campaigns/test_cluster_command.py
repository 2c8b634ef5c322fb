"""`swarmrig campaign run --on`: the whole way, with a worker that is killed in the middle of it."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.campaigns.cluster_machinery import DEADLINE_S, cluster, runs_below, until, write_models

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
CAMPAIGN = """\
campaign: 1
name: away
scenarios: [models.swarmrig.yml]
seeds: {seeds}
"""
COMMAND = [sys.executable, "-P", "-m", "swarmrig", "campaign", "run"]


@pytest.fixture
def here(tmp_path):
    """Every run takes two seconds."""
    write_models(tmp_path, duration="2s")
    (tmp_path / "away.campaign.yml").write_text(CAMPAIGN.format(seeds="1..5"))
    return tmp_path


def campaign(here, *words):
    return subprocess.Popen(
        [*COMMAND, *words, "--no-report"], cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=DEADLINE_S * 2)
    return process.returncode, out, err


def journal(here):
    lines = [line for path in here.glob("runs/*/tasks.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


async def test_a_worker_is_killed_and_then_the_campaigner(here):
    with cluster(here / "cluster", workers=2) as ours:
        doomed, other = ours.workers
        running = campaign(here, "away.campaign.yml", "--on", ours.address)
        try:
            await until(lambda: (journal(here) and runs_below(doomed)) or running.poll() is not None)
            before = {each["task"] for each in journal(here)}
            doomed.kill()
            await until(lambda: any(len(each["attempts"]) > 1 for each in journal(here)) or running.poll() is not None)
        finally:
            running.send_signal(signal.SIGKILL)
            code, out, err = ended(running)
        assert code == -signal.SIGKILL, out + err
        assert before
        await until(lambda: os.listdir(doomed.state) == os.listdir(other.state) == [])
        finished = journal(here)
        (directory,) = (here / "runs").glob("away-*")
        code, out, err = ended(campaign(here, "--resume", str(directory), "--on", ours.address))
    assert code == 0, out + err
    ends = journal(here)
    assert ends[: len(finished)] == finished
    assert sorted(each["task"] for each in ends) == [f"models.s{seed}" for seed in range(1, 6)]  # each once
    for each in ends:
        *lost, last = each["attempts"]
        assert last["ending"] == "judged" and each["verdict"] == "PASS"
        assert all(attempt["worker"] == doomed.address and "went away" in attempt["reason"] for attempt in lost)
        assert last["worker"] == other.address or each["task"] in before
        assert (directory / each["directory"] / "results.json").is_file()
