"""The reference client, as a file that is copied somewhere else; and its contract as a node."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig import line_client
from swarmrig.line_client import Node
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.line.backend import LineBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

HERE = Path(__file__).parent


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_line_node_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    options = {"command": (sys.executable, str(HERE / "pinger.py"))}
    case = NodeCase(
        backend=LineBackend,
        spec=NodeSpec(id="line", number=1, kind="line", options=options),
        boots=r"^ready: line",
        quiet_s=0.2,
    )
    anyio.run(clause, case, tmp_path)


def test_it_needs_nothing_but_itself(tmp_path: Path) -> None:
    """Copied next to a program, and without site packages."""
    shutil.copy(line_client.__file__, tmp_path / "line_client.py")
    script = "from line_client import Node, serve; serve(Node())"
    said = "INIT n {}\nADVANCE 5\n[]\nSHUTDOWN\n"
    command = [sys.executable, "-S", "-E", "-c", script]
    done = subprocess.run(command, input=said, capture_output=True, text=True, cwd=tmp_path, env={}, check=True)
    assert done.stdout == "READY\nDONE never\n[]\n"


def test_over_the_socket_that_it_is_told_of() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            number = theirs.fileno()
            program = subprocess.Popen(
                [sys.executable, HERE / "pinger.py"],
                pass_fds=[number],
                env={**os.environ, "SWARMRIG_LINE_FD": str(number)},
                stderr=subprocess.PIPE,
            )
        with program, ours.makefile("rw") as line:
            line.write('INIT n {"settings": {}, "nodes": ["n"]}\n')
            line.flush()
            assert line.readline() == "READY\n"
            # It ends when the line does.
            ours.shutdown(socket.SHUT_RDWR)
            assert program.wait(60) == 0


def test_what_it_does_not_know_ends_it() -> None:
    done = subprocess.run([sys.executable, HERE / "pinger.py"], input="HELLO\n", capture_output=True, text=True)
    assert done.returncode == 1 and "the rig said 'HELLO'" in done.stderr


class Recorder(Node):
    """Writes down what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[int, str]] = []

    def start(self) -> None:
        self.note("start")
        self.every(30, lambda: self.note("tick"))
        self.call_after(45, lambda: self.note("once"))
        self.call_at(-5, lambda: self.note("late"))

    def receive(self, event: dict[str, Any]) -> None:
        self.note(event["payload"])
        self.send("b", self.now_us)

    def note(self, what: str) -> None:
        self.heard.append((self.now_us, what))


def event(time_us: int, payload: str) -> dict[str, Any]:
    return {"type": "t", "time_us": time_us, "src": "b", "dst": "a", "payload": payload, "size_bytes": 2}


def test_timers_and_events_in_order() -> None:
    node = Recorder()
    node.id = "a"
    assert node.advance(10, []) == []
    assert node.heard == [(10, "start"), (10, "late")]
    assert node.next_us() == 40
    happened = node.advance(40, [event(35, "x")])
    assert node.heard[2:] == [(40, "x"), (40, "tick")]  # what arrives comes before what is due at that time
    assert happened == [
        {"type": "message", "time_us": 40, "src": "a", "dst": "b", "payload": 40, "size_bytes": 0}
    ]  # fmt: skip
    node.advance(100, [])
    assert node.heard[4:] == [(55, "once"), (70, "tick"), (100, "tick")]
    assert node.next_us() == 130


def test_in_steps_events_come_first() -> None:
    node = Recorder()
    node.stepped = True
    node.advance(0, [])
    happened = node.advance(100, [event(-20, "x"), event(-10, "y")])
    assert [what for _, what in node.heard] == ["start", "late", "x", "y", "tick", "once", "tick", "tick"]
    assert [each["time_us"] for each in happened] == [0, 0]
    assert json.loads(json.dumps(happened)) == happened


def test_a_node_without_timers_waits_for_ever() -> None:
    node = Node()
    node.advance(0, [])
    assert node.next_us() is None
