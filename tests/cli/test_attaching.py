"""`watch` and `console` from processes of their own, as somebody at another terminal uses them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SWARMRIG = [sys.executable, "-m", "swarmrig"]
SCENARIO = """\
swarmrig: 1
name: pair
duration: 12s
time: virtual
nodes: {a: {role: coordinator, firmware: {variant: panic-at-10s}}, b: {role: sensor}}
checks: [no_crashes]
"""


@pytest.fixture
def frozen(bare_environment, tmp_path):
    """A run that stands still; whoever uses it lets it go on."""
    (tmp_path / "pair.swarmrig.yml").write_text(SCENARIO)
    process = start("run", "pair.swarmrig.yml", "--pause-on-failure")
    for line in process.stdout:
        if "frozen, for a look: no_crashes" in line:
            break
    yield process
    process.kill()
    process.communicate()


def start(*arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*SWARMRIG, *arguments], text=True, **pipes)


def test_a_frozen_run_is_watched_typed_to_and_let_go(frozen, swarmrig, tmp_path):
    watcher, console = start("watch", "--json"), start("console", "last", "b", "--type", "stats")
    assert json.loads(watcher.stdout.readline())["kind"] == "run.started"
    for line in console.stdout:
        if "Calling app_main()" in line:
            break
    (shown,) = json.loads(swarmrig("runs", "list", "--json").stdout)
    assert shown["state"] == "live"
    frozen_console = (tmp_path / "runs" / shown["directory"] / "nodes/b/console.log").read_bytes()
    for _ in frozen.stdout:  # the line that says that it was typed to
        break
    assert swarmrig("watch", "last", "--release").returncode == 0
    told = watcher.stdout.read()
    assert json.loads(told.splitlines()[-1])["kind"] == "run.finished"
    watcher.communicate()
    assert watcher.returncode == 3  # as the run
    said = console.stdout.read()
    console.communicate()
    assert console.returncode == 0
    assert "samples=" in said
    assert b"samples=" not in frozen_console
    for _ in frozen.stdout:
        pass
    frozen.wait()
    assert frozen.returncode == 3


@pytest.fixture
def finished(bare_environment, tmp_path):
    path = tmp_path / "runs" / "p-20260101-000000-0123abcd"
    (path / "nodes" / "a").mkdir(parents=True)
    (path / "results.json").write_text('{"verdict": "PASS"}')
    (path / "nodes" / "a" / "console.log").write_bytes(
        b"one\r\n\x1b[0;32mI (2) two\x1b[0m\n\x1b]0;evil\x07\xff three\n> half"
    )
    return path


def test_the_console_of_a_finished_run_is_shown_as_text(swarmrig, finished):
    result = swarmrig("console", "last", "a")
    assert result.returncode == 0
    assert result.stdout == "one\nI (2) two\n\\x1b]0;evil\\x07\ufffd three\n> half\n"


@pytest.mark.parametrize(("last", "shown"), [("0", "> half\n"), ("1", "\\x1b]0;evil\\x07\ufffd three\n> half\n")])
def test_the_last_lines_only(swarmrig, finished, last, shown):
    assert swarmrig("console", "last", "a", "--last", last).stdout == shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["watch", "last"], "is over: PASS"),
        (["watch", "zz"], "no run 'zz'"),
        (["console", "last", "zz"], "has no node 'zz': its nodes are a"),
        (["console", "last", "../.."], "has no node"),
        (["console", "last", "a", "--type", "x"], "nobody is there to type to"),
        (["watch", "last", "--release"], "is over: PASS"),
        (["watch", "p-2026"], "no run goes on; swarmrig runs show runs/p-20260101-000000-0123abcd"),
        (["console", "last", "b"], "its nodes are a"),
        (["console", "nowhere", "a"], "no run 'nowhere'"),
    ],
)
def test_what_cannot_be_is_said(swarmrig, finished, arguments, said):
    result = swarmrig(*arguments)
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr
