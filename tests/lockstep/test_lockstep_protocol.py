"""The codec against the layout of lockstep/PROTOCOL.md, written down a second time here, and against nonsense."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import (
    NEVER,
    Command,
    Decoder,
    Feature,
    Flag,
    Gone,
    Hello,
    Kind,
    Line,
    ProtocolError,
    Reply,
    Report,
    Stopped,
    VersionError,
)

times = st.integers(0, NEVER)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
data = st.binary(max_size=80)
frames = st.tuples(times, data)
lines = st.builds(Line, times, data, st.booleans())
replies = st.builds(Reply, times, u32, st.booleans(), data)
flags = st.integers(0, 31).map(Flag)
reports = st.builds(Report, times, times, u64, u32, flags, st.lists(frames), st.lists(lines), st.lists(replies))
texts = st.text(st.characters(codec="ascii"), max_size=20)
hellos = st.builds(
    Hello, st.integers(0, 9), st.frozensets(st.sampled_from(Command)), st.integers(0, 7).map(Feature), u32, times,
    texts, texts,
)  # fmt: skip
messages = st.one_of(
    reports, hellos, st.builds(Stopped, times, u64, st.booleans(), st.booleans()), st.builds(Gone, reports)
)


def message(kind, flags, body):
    return struct.pack("<IHH", 8 + len(body), kind, flags) + body


def record(t, kind, detail, payload):
    return struct.pack("<qIHH", t, len(payload), kind, detail) + payload


def encode_report(report, kind=2):
    records = [record(t, 1, 0, payload) for t, payload in report.frames]
    records += [record(line.t, 2, line.complete, line.data) for line in report.console]
    records += [record(r.t, 3, not r.ok, struct.pack("<I", r.tag) + r.data) for r in report.replies]
    fixed = struct.pack("<qqQII", report.now, report.deadline, report.pc, report.overshoot, len(records))
    return message(kind, report.flags, fixed + b"".join(records))


def encode(value):
    match value:
        case Report():
            return encode_report(value)
        case Gone(last):
            return encode_report(last, 4)
        case Stopped(now, pc, as_asked, is_off, with_more):
            return message(3, as_asked + 2 * is_off + 4 * with_more, struct.pack("<qQ", now, pc))
        case Hello():
            known = sum(1 << command for command in value.commands)
            version, target = value.qemu.encode(), value.target.encode()
            fixed = (0x4B43544C, 1, value.api, known, value.features, value.grain_ns, value.now)
            lengths = len(version), len(target)
            return message(1, 0, struct.pack("<IHHIIIqHH", *fixed, *lengths) + version + target)


@given(st.lists(messages, max_size=5), st.data())
def test_messages_survive_any_cut_of_the_stream(sent, draw):
    stream = b"".join(map(encode, sent))
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = Decoder()

    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += decoder.feed(stream[start:end])

    assert received == sent
    assert decoder.is_empty


@given(messages)
def test_byte_by_byte(value):
    decoder, stream = Decoder(), encode(value)

    received = [found for index in range(len(stream)) for found in decoder.feed(stream[index : index + 1])]

    assert received == [value]


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for(noise):
    with suppress(ProtocolError):
        Decoder().feed(noise)


@given(messages, st.data())
def test_damage_is_refused_or_harmless(value, draw):
    stream = bytearray(encode(value))
    index = draw.draw(st.integers(0, len(stream) - 1))
    stream[index] ^= draw.draw(st.integers(1, 255))

    try:
        Decoder().feed(bytes(stream))
    except ProtocolError as error:
        assert str(error)


REPORT = Report(5, 9, 0, 0, Flag(0), [(1, b"frame")], [], [])


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (struct.pack("<IHH", 7, 2, 0), "a message of 7 bytes"),
        (struct.pack("<IHH", (64 << 20) + 1, 2, 0), "a message of 67108865 bytes"),
        (message(99, 0, b""), "unknown kind 99"),
        (message(17, 0, b""), "unknown kind 17"),
        (message(2, 0, b"short"), "REPORT message that is too short"),
        (message(3, 0, b""), "STOPPED message that is too short"),
        (message(1, 0, b"x"), "HELLO message that is too short"),
        (message(3, 0, bytes(20)), "do not add up"),
        (message(2, 32, struct.pack("<qqQII", 1, 1, 0, 0, 0)), "unknown flags 0x20"),
        (message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 1) + record(1, 9, 0, b"")), "record of unknown kind 9"),
        (message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 1)), "too short"),
        (message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 0) + b"more"), "records of 40 bytes in a message of 44"),
        (message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 1) + struct.pack("<qIHH", 1, 50, 1, 0)), "records of 106"),
        (message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 1) + record(1, 3, 0, b"ab")), "too short"),
        (message(1, 0, struct.pack("<IHHIIIqHH", 1, 1, 1, 0, 0, 16, 0, 0, 0)), "no lockstep plugin"),
        (
            message(1, 0, struct.pack("<IHHIIIqHH", protocol.MAGIC, 1, 1, 0, 0, 16, 0, 5, 0)),
            "HELLO message whose parts",
        ),
    ],
)
def test_each_kind_of_nonsense_is_named(stream, reason):
    with pytest.raises(ProtocolError, match=reason):
        Decoder().feed(stream)


def test_a_record_does_not_reach_into_the_next_message():
    too_long = message(2, 0, struct.pack("<qqQII", 1, 1, 0, 0, 1) + struct.pack("<qIHH", 1, 8, 1, 0))

    with pytest.raises(ProtocolError):
        Decoder().feed(too_long + encode(REPORT))


def test_another_version_is_refused_with_a_hint():
    hello = message(1, 0, struct.pack("<IHHIIIqHH", protocol.MAGIC, 2, 1, 0, 0, 16, 0, 0, 0))

    with pytest.raises(VersionError, match=r"version 2 .* version 1") as caught:
        Decoder().feed(hello)
    assert caught.value.hint


def test_only_floods_expect_no_answer():
    assert REPORT.expects_answer
    assert not REPORT._replace(flags=Flag.MORE | Flag.IDLE).expects_answer


# --- to the guest ---------------------------------------------------------------------------------------------


def test_the_fixed_messages():
    assert struct.unpack("<IHHIHH", protocol.WELCOME) == (16, 16, 0, 0x4B43544C, 1, 0)
    for data, kind in ((protocol.HOLD, Kind.HOLD), (protocol.RELEASE, Kind.RELEASE), (protocol.END, Kind.END)):
        assert struct.unpack("<IHH", data) == (8, kind, 0)


@given(times, st.lists(st.tuples(times, st.binary(min_size=1, max_size=50), u32), max_size=4))
def test_a_grant_holds_its_commands(horizon, wanted):
    grant = protocol.grant(horizon, [protocol.frame(t, payload, tag) for t, payload, tag in wanted])

    length, kind, _, found, count, _ = struct.unpack_from("<IHHqII", grant)
    assert (length, kind, found, count) == (len(grant), 17, horizon, len(wanted))
    offset = 24
    for t, payload, tag in wanted:
        assert struct.unpack_from("<qIHHII", grant, offset) == (t, len(payload), 1, 0, tag, 0)
        offset += 24
        assert grant[offset : offset + len(payload)] == payload
        offset += len(payload)
    assert offset == len(grant)


@pytest.mark.parametrize(
    ("command", "kind", "payload"),
    [
        (protocol.console_input(3, b"help\r\n", 4), 2, b"help\r\n"),
        (protocol.memory_write(3, 0x80000000, b"ab", 4), 3, struct.pack("<Q", 0x80000000) + b"ab"),
        (protocol.memory_xor(3, 2**64 - 1, b"\x01", 4), 4, struct.pack("<Q", 2**64 - 1) + b"\x01"),
        (protocol.memory_read(3, 16, 8, 4), 5, struct.pack("<QI", 16, 8)),
        (protocol.power_cut(3, 16, 8, 7, 4), 10, struct.pack("<QQI", 16, 8, 7)),
        (protocol.simple(Command.RESET, 3, 4), 6, b""),
        (protocol.simple(Command.RESUME, 3, 4), 9, b""),
    ],
)
def test_commands(command, kind, payload):
    assert command == struct.pack("<qIHHII", 3, len(payload), kind, 0, 4, 0) + payload


@pytest.mark.parametrize(
    "build",
    [
        lambda: protocol.frame(1, b""),
        lambda: protocol.frame(1, bytes(65536)),
        lambda: protocol.memory_write(1, 0, b""),
        lambda: protocol.memory_xor(1, 0, bytes((1 << 20) + 1)),
        lambda: protocol.memory_read(1, 0, 0, 1),
        lambda: protocol.simple(Command.FRAME, 1),
    ],
)
def test_what_the_plugin_would_refuse_is_not_sent(build):
    with pytest.raises(ValueError, match=r"."):
        build()
