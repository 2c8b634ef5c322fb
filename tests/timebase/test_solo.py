"""A guest alone that does not keep to the protocol; well-behaved ones are in tests/replay, on real emulators."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import Command, Flag, Kind
from swarmrig.timebase.recording import Input
from swarmrig.timebase.solo import STEP_NS, SoloError, SoloGuest, _steps

pytestmark = pytest.mark.anyio


def report(now, flags=Flag(0), kind=Kind.REPORT, records=()):
    body = b"".join(struct.pack("<qIHH", t, len(data), number, detail) + data for t, number, detail, data in records)
    return struct.pack("<IHHqqQII", 40 + len(body), kind, flags, now, now, 0x80000010, 0, len(records)) + body


HELLO = struct.pack("<IHHIHHIIIqHH", 40, Kind.HELLO, 0, protocol.MAGIC, protocol.VERSION, 1, 1022, 7, 16, 0, 0, 0)


@pytest.fixture
def guest():
    """A SoloGuest and what it talks to."""
    ours, far = socket.socketpair()
    with ours, far:
        yield SoloGuest(ours), far


async def test_one_that_ends_before_it_begins(guest):
    solo, far = guest
    far.close()
    with pytest.raises(SoloError, match="ended before it began"):
        await solo.greet()


@pytest.mark.parametrize(
    ("said", "words"),
    [(report(0), "does not greet"), (b"\xff" * 16, "bytes from the lockstep plugin"), (HELLO[:8] + bytes(32), "magic")],
)
async def test_what_is_no_greeting_is_refused(guest, said, words):
    solo, far = guest
    far.sendall(said)
    with pytest.raises(SoloError, match=words):
        await solo.greet()


async def test_a_missed_boundary_is_no_replay(guest):
    solo, far = guest
    far.sendall(HELLO + report(0) + report(5, Flag.VIOLATED))
    await solo.greet()
    with pytest.raises(SoloError, match="not exact"):
        await solo.live(5, ())


async def test_lines_and_frames_are_kept_also_of_one_that_switches_itself_off(guest):
    solo, far = guest
    far.sendall(HELLO + report(0))
    far.sendall(report(3, Flag.MORE, records=[(2, 2, 0, b"he"), (3, 1, 0, b"frame")]))
    far.sendall(report(4, kind=Kind.GONE, records=[(4, 2, 1, b"llo\n"), (4, 2, 0, b"by")]))
    far.shutdown(socket.SHUT_WR)
    await solo.greet()
    await solo.live(9, ())
    assert (solo.gone, solo.now_ns) == (True, 4)
    solo.output.finish(solo.now_ns)
    assert solo.output.lines == [(4, b"hello"), (4, b"by")]
    assert solo.output.frames == [(3, b"frame")]
    await solo.end()


@given(
    start=st.integers(0, 3 * STEP_NS),
    length=st.integers(0, 5 * STEP_NS),
    offsets=st.lists(st.integers(0, 6 * STEP_NS)),
)
def test_every_input_is_in_the_step_in_which_it_is_due(start, length, offsets):
    until = start + length
    inputs = [Input(start + at, Command.RESET, b"", bytes([n % 256])) for n, at in enumerate(sorted(offsets))]
    steps = list(_steps(start, until, inputs))
    horizons = [horizon for horizon, _ in steps]
    assert horizons == sorted(horizons)
    assert not length or horizons[-1] == until
    given_then = [command for _, commands in steps for command in commands]
    assert given_then == [one.command for one in inputs if one.t_ns <= until]
    at = 0
    for horizon, commands in steps:
        for _ in commands:
            assert inputs[at].t_ns <= horizon
            at += 1
