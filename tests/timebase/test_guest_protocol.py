"""The guest's side of the lockstep protocol against the coordinator's: each understands what the other says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.timebase import guest_protocol, protocol
from swarmrig.timebase.guest_protocol import Granted, Order
from swarmrig.timebase.protocol import NEVER, Command, Feature, Flag, Kind, Line, ProtocolError, Reply

TIMES = st.integers(0, 1 << 60)
DATA = st.binary(min_size=1, max_size=50)


def heard(data):
    (message,) = protocol.Decoder().feed(data)
    return message


def test_a_greeting_says_what_the_guest_knows():
    hello = heard(guest_protocol.hello("renode", [Command.CONSOLE, Command.RESET]))
    assert hello.commands == {Command.CONSOLE, Command.RESET} and hello.features == Feature.CONSOLE
    assert (hello.now, hello.grain_ns, hello.qemu, hello.api) == (0, 1, "renode", 0)
    joined = heard(guest_protocol.hello("x", [Command.FRAME]))
    assert joined.features == Feature.NETWORK


@given(
    TIMES,
    TIMES,
    st.lists(st.tuples(TIMES, DATA)),
    st.lists(st.builds(Line, TIMES, DATA, st.booleans())),
    st.lists(st.builds(Reply, TIMES, st.integers(1, 1000), st.booleans(), DATA)),
)
def test_a_report_arrives_as_it_was_made(now, deadline, frames, console, replies):
    data = guest_protocol.report(now, deadline, flags=Flag.IDLE, frames=frames, console=console, replies=replies)
    assert heard(data) == protocol.Report(now, deadline, 0, 0, Flag.IDLE, frames, console, replies)


def test_a_report_of_a_guest_that_only_waits():
    assert heard(guest_protocol.report(5)).deadline == NEVER


def test_a_stop_is_as_asked():
    assert heard(guest_protocol.stopped(7)) == protocol.Stopped(7, 0, as_asked=True)


COMMANDS = [
    (protocol.frame(3, b"f" * 60), Order(3, Command.FRAME, b"f" * 60, 0)),
    (protocol.console_input(4, b"hi", 9), Order(4, Command.CONSOLE, b"hi", 9)),
    (protocol.simple(Command.RESET, 5, 10), Order(5, Command.RESET, b"", 10)),
    (protocol.memory_read(6, 16, 4, 11), Order(6, Command.READ, b"\x10" + bytes(7) + b"\4\0\0\0", 11)),
]


@given(st.lists(st.sampled_from(COMMANDS)), st.integers(0), st.integers(0))
def test_grants_arrive_whole_however_they_are_cut(commands, first, second):
    stream = protocol.WELCOME + protocol.grant(100, [raw for raw, _ in commands]) + protocol.HOLD + protocol.END
    decoder, cuts = guest_protocol.Decoder(), sorted((first % len(stream), second % len(stream)))
    pieces = (stream[: cuts[0]], stream[cuts[0] : cuts[1]], stream[cuts[1] :])
    messages = [message for piece in pieces for message in decoder.feed(piece)]
    assert messages == [Kind.WELCOME, Granted(100, tuple(order for _, order in commands)), Kind.HOLD, Kind.END]


@pytest.mark.parametrize(
    "data",
    [
        b"\4\0\0\0\0\0\0\0",
        b"\x08\0\0\0\x63\0\0\0",
        protocol.grant(1, [protocol.frame(1, b"x")]).replace(b"\1\0\0\0\1\0", b"\1\0\0\0\x63\0"),
        protocol.grant(1).replace(b"\x18\0\0\0", b"\x19\0\0\0") + b"\0",
    ],
)
def test_what_is_no_message_is_an_error(data):
    with pytest.raises(ProtocolError):
        guest_protocol.Decoder().feed(data)
