"""Ctrl-C, and SIGKILL of the whole campaign: nothing that had ended is lost or repeated, nothing is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.campaigns.campaign_tricks import campaign

from swarmrig.campaigns.directory import read_journal
from swarmrig.campaigns.results import read_results
from swarmrig.proc import probe

PATIENCE_S = 120.0
LONG = "matrix: {size: {short: duration=200ms, long: [duration=600s, time=real]}}\nretries: 0\n"
"""Real time, ten minutes: it is running when somebody interrupts, however busy the machine is."""


def wait_until(condition):
    """What no event tells us, from outside."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes_of(place):
    """Those that name this directory in their command line."""
    return [pid for pid in probe.all_pids() if str(place) in command_line(pid)]


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def start(tmp_path):
    """A campaign as a process of its own, with its state in a place of its own."""
    started = []

    def begin(*words):
        command = [sys.executable, "-m", "swarmrig", "campaign", "run", *map(str, words), "--no-report", "--no-history"]
        environment = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state")}
        process = subprocess.Popen(
            [*command, "--json", "--jobs", "2"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def read_until(process, kind, task):
    for line in process.stdout:
        found = json.loads(line)
        if (found["kind"], found.get("task")) == (kind, task):
            return
    raise AssertionError(process.stderr.read())


def in_the_middle(start, tmp_path):
    """A campaign of which one run has ended, and one is in progress."""
    process = start(campaign(tmp_path, LONG), "--output-dir", tmp_path / "runs")
    read_until(process, "task.ended", "trick.short.s0")
    (directory,) = (tmp_path / "runs").iterdir()
    wait_until(lambda: list(directory.glob("runs/trick.long.s0/1/*/events.jsonl")))
    return process, directory


def verdicts(directory):
    return {entry.task.id: entry.word for entry in read_results(directory).tasks}


def go_on(start, directory):
    """With the long run made short; what had ended is not repeated, what a loss of power leaves is cut off."""
    file, journal = directory / "campaign.yml", directory / "tasks.jsonl"
    file.write_text(file.read_text().replace("[duration=600s, time=real]", "duration=250ms"))
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"task": "trick.long.s0", "ke')
    process = start("--resume", directory)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out + err
    assert verdicts(directory) == {"trick.short.s0": "PASS", "trick.long.s0": "PASS"}
    assert journal.read_bytes().startswith(before)
    assert [result.task for result in read_journal(journal)] == ["trick.short.s0", "trick.long.s0"]


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_an_interrupted_campaign_reports_what_there_is_and_goes_on(start, tmp_path, signals):
    process, directory = in_the_middle(start, tmp_path)
    for each in signals:
        process.send_signal(each)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, out + err
    assert verdicts(directory) == {"trick.short.s0": "PASS", "trick.long.s0": "NOT RUN"}
    assert read_results(directory).campaign.interrupted
    assert json.loads(out.splitlines()[-1])["kind"] == "result"
    if len(signals) == 1:  # what was running was asked to end, and judged
        (run,) = directory.glob("runs/trick.long.s0/1/*/results.json")
        assert json.loads(run.read_text())["run"]["interrupted"]
    assert processes_of(directory) == []
    if signals == [signal.SIGINT]:
        go_on(start, directory)


def test_sigkill_leaves_nothing_behind_and_loses_nothing(start, tmp_path):
    process, directory = in_the_middle(start, tmp_path)
    process.kill()
    process.wait()
    wait_until(lambda: processes_of(directory) == [] and not list((tmp_path / "state").iterdir()))
    assert [result.task for result in read_journal(directory / "tasks.jsonl")] == ["trick.short.s0"]
    go_on(start, directory)


def test_nobody_goes_on_with_a_campaign_that_lives(start, tmp_path):
    process, directory = in_the_middle(start, tmp_path)
    second = start("--resume", directory)
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 3
    assert "is running already" in err
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE_S)[1] is not None
    assert process.returncode == 130
