"""The rig's end of the line: what it says, what it understands, and what it says of those who do not keep to it.

The answers are there before the questions are asked, so nobody waits.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.model.network import DevicePlan, LinkPlan, NetworkPlan, PortKind, SwitchPlan
from swarmrig.net.engine import Engine
from swarmrig.nodes.line.near_end import make_line_model
from swarmrig.nodes.line.protocol import NEVER_US, LineChannel, LineError

DEADLINE_S = 60.0


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The rig's end, and the program's."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE_S)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def rig(line: tuple[socket.socket, socket.socket]) -> socket.socket:
    return line[0]


@pytest.fixture
def program(line: tuple[socket.socket, socket.socket]) -> socket.socket:
    return line[1]


@contextmanager
def answering(program: socket.socket, *answers: str) -> Iterator[list[str]]:
    """Give these answers to what is asked, one by one; yields what has been asked."""
    asked: list[str] = []

    def answer() -> None:
        with program.makefile("r") as lines, program.makefile("w") as said:
            for text in answers:
                asked.append(lines.readline().strip())
                asked.append(lines.readline().strip())
                said.write(text)
                said.flush()

    with ThreadPoolExecutor(max_workers=1) as thread:
        answered = thread.submit(answer)
        yield asked
        answered.result(DEADLINE_S)


@pytest.mark.parametrize(
    ("said", "next_us"),
    [(b"DONE\n", None), (b"DONE 11\r\n", 11), (b"DONE never\n", NEVER_US), (b"DONE " + b"9" * 30 + b"\n", NEVER_US)],
)
def test_what_is_said_and_understood(
    rig: socket.socket, program: socket.socket, said: bytes, next_us: int | None
) -> None:
    program.sendall(said + b'[{"type": "t"}]\n')
    done = LineChannel(rig, DEADLINE_S).advance(10, [{"n": 1}])
    assert program.recv(100) == b'ADVANCE 10\n[{"n":1}]\n'
    assert (done.next_us, done.events) == (next_us, [{"type": "t"}])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"DOEN\n", "expected DONE, it said 'DOEN' (line 1 of what it said, in answer to ADVANCE 10)"),
        (b"DONE soon\n", "after DONE expected a time after 10, `never` or nothing, it said 'soon' (line 1"),
        (b"DONE 10\n", "it said '10' (line 1"),
        (b"DONE -1\n", "it said '-1' (line 1"),
        (b"DONE\n{}\n", "expected a JSON array of events, it said '{}' (line 2"),
        (b"DONE\n[1]\n", "expected a JSON array of events, it said '[1]' (line 2"),
        (b"DONE\n[1\n", "it said '[1': Expecting"),
        (b"DONE\n" + b"[" * 100_000 + b"\n", "expected a JSON array"),
        (b"\xff\n", "a line that is no UTF-8"),
        (b"DONE\n" + b"x" * 200 + b"\n", "x…'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    rig: socket.socket, program: socket.socket, said: bytes, words: str
) -> None:
    program.sendall(said)
    with pytest.raises(LineError) as caught:
        LineChannel(rig, DEADLINE_S).advance(10, [])
    assert words in str(caught.value)


def test_who_speaks_unasked_is_named(rig: socket.socket, program: socket.socket) -> None:
    channel = LineChannel(rig, DEADLINE_S)
    program.sendall(b"DONE\n[]\nhello\n")
    channel.advance(10, [])
    with pytest.raises(
        LineError, match=r"it spoke unasked: 'hello\\n' \(line 2 of what it said, in answer to ADVANCE 20"
    ):
        channel.advance(20, [])


def test_who_says_nothing_is_named(rig: socket.socket, program: socket.socket) -> None:
    with pytest.raises(LineError, match=r"no answer to ADVANCE 10 within 0\.05 s"):
        LineChannel(rig, 0.05).advance(10, [])
    program.sendall(b"DON")
    with pytest.raises(LineError, match="no answer to ADVANCE 10"):
        LineChannel(rig, 0.05).advance(10, [])


def test_who_does_not_read_is_named(rig: socket.socket, program: socket.socket) -> None:
    with pytest.raises(LineError, match=r"it does not read ADVANCE 10, 0\.05 s long"):
        LineChannel(rig, 0.05).advance(10, [{"payload": "x" * (8 << 20)}])


def test_who_has_gone_is_named(rig: socket.socket, program: socket.socket) -> None:
    program.shutdown(socket.SHUT_WR)
    with pytest.raises(LineError, match="it closed its end instead of answering ADVANCE 10"):
        LineChannel(rig, DEADLINE_S).advance(10, [])
    program.close()
    with pytest.raises(LineError, match=r"it closed its end (before|instead of answering) ADVANCE 20"):
        LineChannel(rig, DEADLINE_S).advance(20, [])


@given(st.binary(max_size=60))
def test_whatever_it_says_it_is_understood_or_named(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        try:
            LineChannel(ours, DEADLINE_S).advance(10, [])
        except LineError as error:
            assert str(error)


# The near end, in an engine of its own.


def engine() -> Engine:
    config = {"ip": "10.0.0.1", "mac": "02:00:00:00:00:01", "step_us": 1000, "deadline_s": DEADLINE_S}
    device = DevicePlan(
        "x", "02:00:00:00:00:01", "x--lan", PortKind.PYTHON, "10.0.0.1", factory="any:thing", config=config
    )
    plan = NetworkPlan(0, (device,), (LinkPlan("x--lan", "x", "lan"),), (SwitchPlan("lan"),))

    def make(device: DevicePlan) -> Any:
        from swarmrig.net.directory import Directory

        return make_line_model(device.name, {**device.config, "directory": Directory.of_plan(plan)})

    return Engine(plan, make_node=make)


def connected(rig: socket.socket) -> Engine:
    made = engine()
    made.nodes["x"].connect(0, rig.detach())
    return made


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": 3, "dst": "x"}, "`type` is a text"),
        ({"type": "t", "dst": "x", "time_us": 7}, "`time_us` is a whole number from 0 to 0"),
        ({"type": "t", "dst": "x", "time_us": True}, "`time_us` is a whole number"),
        ({"type": "t", "dst": "x", "src": "y"}, "`src` is x"),
        ({"type": "t", "dst": "nobody"}, "no node is called 'nobody'"),
        ({"type": "t", "dst": ["x"]}, "`dst` is a node"),
        ({"type": "t", "payload": "for nobody"}, "`dst` is a node"),
        ({"type": "t", "dst": "x", "size_bytes": -1}, "`size_bytes` is a whole number from 0 to 1472"),
        ({"type": "t", "dst": "x", "size_bytes": 1 << 40}, "`size_bytes` is a whole number from 0 to 1472"),
        ({"type": "t", "dst": "x", "payload": "long" * 1000}, "a datagram takes 1472"),
    ],
)
def test_events_that_are_none_are_named(
    rig: socket.socket, program: socket.socket, event: dict[str, Any], words: str
) -> None:
    made = connected(rig)
    program.sendall(f"DONE\n{json.dumps([event])}\n".encode())
    made.advance(0)
    failure = made.nodes["x"].failure or ""
    assert "the event '{" in failure and words in failure and "in answer to ADVANCE 0" in failure
    made.nodes["x"].disconnect()


def test_who_does_not_say_when_it_acts_lives_in_steps(rig: socket.socket, program: socket.socket) -> None:
    made = connected(rig)
    with answering(program, *["DONE\n[]\n"] * 4) as asked:
        made.advance(2_999_999)
    assert asked[::2] == ["ADVANCE 0", "ADVANCE 1000", "ADVANCE 2000", "ADVANCE 3000"]
    made.nodes["x"].disconnect()


def test_who_says_when_it_acts_is_asked_then(rig: socket.socket, program: socket.socket) -> None:
    made = connected(rig)
    with answering(program, "DONE 1500\n[]\n", 'DONE never\n[{"type": "log", "payload": "once"}]\n') as asked:
        made.advance(10_000_000)
    assert asked == ["ADVANCE 0", "[]", "ADVANCE 1500", "[]"]
    assert made.nodes["x"].take_console() == [(1_500_000, "once")]
    made.nodes["x"].disconnect()


def test_what_it_does_in_a_step_happens_at_its_time_and_in_order(rig: socket.socket, program: socket.socket) -> None:
    made = connected(rig)
    events = [{"type": "log", "time_us": at, "payload": str(at)} for at in (900, 100, 1000, 0)]
    with answering(program, "DONE\n[]\n", f"DONE\n{json.dumps(events)}\n", "DONE never\n[]\n"):
        made.advance(5_000_000)
    assert made.nodes["x"].take_console() == [(0, "0"), (100_000, "100"), (900_000, "900"), (1_000_000, "1000")]
    made.nodes["x"].disconnect()


def test_without_a_program_it_stands_still() -> None:
    made = engine()
    made.advance(10_000_000_000)
    made.nodes["x"].disconnect()
    assert made.nodes["x"].failure is None
    assert made.nodes["x"].report()["metrics"] == {}


def test_the_end_is_told(rig: socket.socket, program: socket.socket) -> None:
    made = connected(rig)
    program.sendall(b"DONE never\n[]\n")
    made.advance(0)
    made.nodes["x"].disconnect()
    made.nodes["x"].disconnect()
    assert program.recv(1 << 16).endswith(b"SHUTDOWN\n")
    assert program.recv(1) == b""


def test_another_program_takes_the_place_of_one_that_failed(rig: socket.socket, program: socket.socket) -> None:
    made = connected(rig)
    program.close()
    made.advance(5_000_000)
    assert "it closed its end" in (made.nodes["x"].failure or "")
    ours, theirs = socket.socketpair()
    with theirs, answering(theirs, "DONE never\n[]\n") as asked:
        made.nodes["x"].connect(7_000_000, ours.detach())
        made.advance(8_000_000)
        made.nodes["x"].disconnect()
    assert asked == ["ADVANCE 7000", "[]"]


def test_who_is_no_line_node_cannot_be_connected(program: socket.socket) -> None:
    class Other:
        now_ns = 0

        def live_in(self, place: object, t_ns: int) -> None: ...

    made = Engine(engine().plan, make_node=lambda device: Other())
    with pytest.raises(ValueError, match="no place for a program"):
        made.nodes["x"].connect(0, program.fileno())
