"""The recording of what a guest was given: written and read, whole, broken off and damaged."""

import errno
import os
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import Command
from swarmrig.timebase.recording import (
    MAGIC,
    POWER_ON,
    InputLog,
    RecordingError,
    parse_recording,
    read_recording,
)

TIMES = st.integers(0, 2**62)
MAKERS = st.sampled_from([
    lambda t, data: protocol.frame(t, data),
    lambda t, data: protocol.console_input(t, data, tag=7),
    lambda t, data: protocol.memory_write(t, 0x80000000, data),
    lambda t, data: protocol.memory_xor(t, 2**63, data),
    lambda t, data: protocol.simple(Command.RESET, t),
    lambda t, data: protocol.simple(Command.PAUSE, t, 3),
])  # fmt: skip
LIVES = st.lists(
    st.tuples(TIMES, st.lists(st.tuples(TIMES, MAKERS, st.binary(min_size=1, max_size=80)), max_size=20), TIMES),
    max_size=3,
)


def commands_of(inputs):
    return [make(t_ns, data) for t_ns, make, data in sorted(inputs, key=lambda one: one[0])]


def written(path, lives):
    log = InputLog(path)
    for power_on_ns, inputs, end_ns in lives:
        log.begin(power_on_ns)
        log.add(commands_of(inputs))
        log.end(end_ns)
    log.close()
    return path


@given(lives=LIVES)
def test_what_was_given_is_read_back(tmp_path_factory, lives):
    path = written(tmp_path_factory.getbasetemp() / "round.inputs", lives)
    read = read_recording(path)
    assert [(life.power_on_ns, life.end_ns) for life in read] == [(begin, end) for begin, _, end in lives]
    for life, (_, inputs, end_ns) in zip(read, lives, strict=True):
        seen = [command for command in commands_of(inputs) if struct.unpack_from("<q", command)[0] <= end_ns]
        assert [one.command for one in life.inputs] == seen
        assert all(one.command.endswith(one.payload) for one in life.inputs)


@given(lives=LIVES, cut=st.integers(0, 4000))
def test_a_recording_that_breaks_off_is_read_as_far_as_it_goes(tmp_path_factory, lives, cut):
    data = written(tmp_path_factory.getbasetemp() / "cut.inputs", lives).read_bytes()
    whole, part = parse_recording(data), parse_recording(data[: max(cut, len(MAGIC))])
    assert len(part) <= len(whole)
    for ours, theirs in zip(part[:-1], whole, strict=False):
        assert ours == theirs
    if part and part[-1].end_ns is None:
        given_inputs = [one.command for one in part[-1].inputs]
        assert b"".join(given_inputs) in data


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(rest):
    for data in (rest, MAGIC + rest):
        with suppress(RecordingError):
            parse_recording(data)


def record(t_ns, kind, payload=b""):
    return struct.pack("<qIHHII", t_ns, len(payload), kind, 0, 0, 0) + payload


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (protocol.frame(5, b"x" * 20), "where none can be"),
        (record(0, POWER_ON) + record(0, POWER_ON), "where none can be"),
        (record(0, POWER_ON) + record(9, 0x101) + record(9, 0x101), "where none can be"),
        (record(0, POWER_ON) + protocol.frame(5, b"x") + protocol.frame(4, b"x"), "where none can be"),
        (record(0, POWER_ON) + record(1, 77), "kind 0x4d"),
        (record(-1, POWER_ON), "for -1 ns"),
        (struct.pack("<qIHHII", 1, 1 << 30, 1, 0, 0, 0), "1073741824 bytes"),
    ],
)
def test_damage_is_named(tmp_path, records, words):
    path = tmp_path / "n1.inputs"
    path.write_bytes(MAGIC + records)
    with pytest.raises(RecordingError, match=words) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="No such file"):
        read_recording(tmp_path / "none.inputs")
    (tmp_path / "old.inputs").write_bytes(b"swarmrig inputs 0\n")
    with pytest.raises(RecordingError, match="of this version"):
        read_recording(tmp_path / "old.inputs")


def test_an_input_for_after_the_end_was_not_lived_to_see(tmp_path):
    late = protocol.frame(101, b"late" * 5)
    log = InputLog(tmp_path / "n1.inputs")
    log.begin(0)
    log.add([protocol.frame(100, b"just" * 5), late])
    log.end(100)
    log.end(200)
    log.close()
    (life,) = read_recording(tmp_path / "n1.inputs")
    assert [one.t_ns for one in life.inputs] == [100]
    assert life.end_ns == 100


def test_a_full_disk_is_told_and_leaves_what_there_was(tmp_path, monkeypatch):
    path = tmp_path / "n1.inputs"
    log = InputLog(path)
    log.begin(0)
    log.end(5)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.begin(7)
        log.add([protocol.frame(8, bytes(1500))] * 100)
    log.end(9)
    log.close()
    assert log.failure == "n1.inputs: No space left on device"
    assert path.read_bytes() == before
