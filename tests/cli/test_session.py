"""`run` and `up` as processes: events, verdict, interruption, readers that go away."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

SWARMRIG = [sys.executable, "-m", "swarmrig"]


@pytest.fixture
def start(bare_environment):
    """Start the command line with its stdout as a pipe of text; it is gone when the test is over."""
    started = []

    def call(*arguments: str, **settings) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([*SWARMRIG, *arguments], **pipes, text=True, start_new_session=True, **settings)
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def events(process: subprocess.Popen[str]):
    assert process.stdout is not None
    for text in process.stdout:
        yield json.loads(text)


def wait_for(process: subprocess.Popen[str], kind: str) -> dict:
    """Read events until one of this kind comes."""
    seen = []
    for event in events(process):
        seen.append(event)
        if event["kind"] == kind:
            return event
    raise AssertionError(f"no {kind} before the end: {seen}, {process.stderr.read()}")


def test_events_are_json_lines_and_the_last_is_the_result(swarmrig_process, tmp_path):
    result = swarmrig_process("run", "smoke", "--duration", "5s", "--json", "--output-dir", "out")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "run.started"
    assert {"node.started", "node.booted", "console", "check", "run.finished"} <= set(kinds)
    last = lines[-1]
    assert last["kind"] == "result"
    (directory,) = (tmp_path / "out").iterdir()
    assert last["directory"] == str(directory)
    assert last["results"] == json.loads((directory / "results.json").read_text())
    assert result.stderr == ""


def test_plain_lines_end_in_verdict_and_place(swarmrig_process, tmp_path):
    result = swarmrig_process(
        "run", "smoke", "--duration", "5s", env={"SWARMRIG_OUTPUT_DIR": "elsewhere", "NO_COLOR": "1"}
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    lines = result.stdout.splitlines()
    assert any(line.endswith("started: smoke") for line in lines)
    assert any("booted in" in line for line in lines)
    assert "smoke: PASS after" in lines[-2]
    (directory,) = (tmp_path / "elsewhere").iterdir()
    assert lines[-1] == f"results: elsewhere/{directory.name}/results.json"
    assert "\x1b" not in result.stdout


def test_up_goes_on_until_ctrl_c_and_judges(start, tmp_path):
    process = start("up", "smoke", "--json", "--duration", "5s")
    wait_for(process, "node.booted")
    process.send_signal(signal.SIGINT)
    result = wait_for(process, "result")
    assert process.wait() == 130
    assert result["results"]["run"]["interrupted"] is True
    assert result["results"]["exit_code"] == 130
    (directory,) = (tmp_path / "runs").iterdir()
    assert (directory / "junit.xml").exists()


def test_a_second_signal_ends_it_without_a_verdict_but_in_order(start, tmp_path):
    process = start("run", "smoke", "--json")
    wait_for(process, "node.started")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    last = list(events(process))[-1]
    assert process.wait() == 130
    assert last["kind"] in ("error", "result")  # the first may have been enough
    assert "Traceback" not in process.stderr.read()


def test_a_signal_that_was_ignored_stays_ignored(start):
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = start("up", "smoke", "--json", preexec_fn=ignore)
    wait_for(process, "node.booted")
    process.send_signal(signal.SIGINT)
    wait_for(process, "console")
    process.send_signal(signal.SIGTERM)
    wait_for(process, "result")
    assert process.wait() == 130


def test_a_reader_that_goes_away_changes_no_verdict(start, tmp_path):
    process = start("run", "smoke", "--duration", "5s")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.wait() == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert json.loads((directory / "results.json").read_text())["verdict"] == "PASS"


def test_a_terminal_gets_the_live_view(bare_environment, terminal):
    """On a pseudo-terminal the picture is redrawn, and the verdict follows it."""
    leader, follower = terminal
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    process = subprocess.Popen(
        [*SWARMRIG, "run", "smoke", "--duration", "5s"],
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env={**environment, "TERM": "xterm", "LINES": "30"},
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # EIO: the other side was closed
        pass
    os.close(leader)
    assert process.wait() == 0, shown[-2000:]
    text = shown.decode()
    assert "\x1b[2K" in text
    assert "smoke · 2 nodes" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"virtual 5\.0 / 5 s .*wall \d+ s  speed", plain)
    assert re.search(r"time  event", plain)
    assert "results: runs/" in text.splitlines()[-1]


def test_while_a_picture_is_shown_the_terminal_does_not_echo(bare_environment, terminal):
    leader, follower = terminal
    code = """\
import fcntl, termios
from swarmrig.cli.keyboard import without_echo
echo = lambda: bool(termios.tcgetattr(0)[3] & termios.ECHO)
with without_echo():
    foreign = echo()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
with without_echo():
    inside = echo()
print(foreign, inside, echo())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=follower, capture_output=True, text=True, start_new_session=True, check=True
    )
    os.close(follower)
    os.close(leader)
    assert done.stdout.split() == ["True", "False", "True"]
