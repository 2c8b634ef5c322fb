"""`watch` and `console` from processes of their own, as somebody at another terminal uses them."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress

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


LOUD = r"""
import os, sys
say = sys.stdout.buffer.write
say(b"boot\n" + b"x" * 10_000_000 + b"\n\x1b]0;owned\x07\x1b[2J\xc2\x9b2J")
say(os.urandom(1 << 20).replace(b"\n", b" ") + b"\nthe end\n")
sys.stdout.flush()
sys.stdin.read()
"""


class Screen:
    """Reads a terminal, until its other end is closed."""

    def __init__(self, terminal: int, wanted: bytes) -> None:
        self.shown = b""
        self.seen = threading.Event()
        self._wanted = wanted
        self._reader = threading.Thread(target=self._read, args=(terminal,))
        self._reader.start()

    def _read(self, terminal: int) -> None:
        with suppress(OSError):
            while True:
                self.shown += os.read(terminal, 1 << 16)
                if self._wanted in self.shown:
                    self.seen.set()

    def end(self) -> bytes:
        self._reader.join()
        return self.shown


@pytest.mark.slow
def test_whatever_a_console_says_reaches_no_terminal(bare_environment, terminal, tmp_path):
    """Ten megabytes in a line, binary, and what steers terminals: in the live view, in `watch`, in `console`."""
    (tmp_path / "loud.py").write_text(LOUD)
    (tmp_path / "loud.swarmrig.yml").write_text(
        "swarmrig: 1\nname: loud\nduration: 600s\ntime: real\n"
        f"nodes: {{a: {{kind: process, command: [{sys.executable}, {tmp_path}/loud.py]}}}}\n"
        'checks: [{console: {node: a, matches: "the end"}}]\n'
    )
    leader, follower = terminal
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    run = subprocess.Popen(
        [*SWARMRIG, "up", "loud.swarmrig.yml"], stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
        env={**environment, "TERM": "xterm", "LINES": "30"}, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    screen = Screen(leader, b"the end")
    try:
        assert screen.seen.wait(120)
        console, watcher = start("console", "last", "a"), start("watch", "--json")
        heard = "".join(itertools.takewhile(lambda line: line != "the end\n", console.stdout))
        told = watcher.stdout.readline()
    finally:
        run.send_signal(signal.SIGINT)
        shown = screen.end()
        run.wait()
        os.close(leader)
    told += watcher.communicate()[0]
    console.communicate()
    assert run.returncode == 130
    assert b"\x1b]" not in shown
    assert not re.search(rb"\xc2[\x80-\x9f]", shown)
    for text in (heard, told):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert "\\x1b]0;owned\\x07\\x9b2J" in heard  # colours and the like are left out


def test_a_run_that_is_killed_ends_those_who_watch(bare_environment, tmp_path):
    (tmp_path / "pair.swarmrig.yml").write_text(SCENARIO.replace("virtual", "real").replace("12s", "600s"))
    run = start("run", "pair.swarmrig.yml")
    for line in run.stdout:
        if "booted" in line:
            break
    watchers = [start("watch", "pair"), start("watch", "--json"), start("console", "pair", "b")]
    for watcher in watchers:
        watcher.stdout.readline()
    run.kill()
    run.communicate()
    said = [watcher.communicate()[1] for watcher in watchers]
    assert [watcher.returncode for watcher in watchers] == [3, 3, 0]
    assert all("ended without a verdict" in text for text in said[:2])
    assert "Traceback" not in "".join(said)
