"""Captures: what is written is read back, by us and by tshark, also while it grows and when it is damaged."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import Fate, LinkPlan, NetworkPlan
from swarmrig.net.evidence import FrameTail, fate_of
from swarmrig.net.pcapng import CaptureWriter, PcapngError, PcapngReader
from swarmrig.net.pcapng_blocks import Section, encode

COMMENTS = st.none() | st.sampled_from([fate.value for fate in Fate]) | st.text(max_size=40)
RECORDS = st.lists(
    st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 1), st.binary(max_size=300), COMMENTS), max_size=40
)
SECTION = encode(Section())
TCP = bytes.fromhex("525400000001525400000002") + b"\x88\xb5" + b"payload"


def written(path: Path, records: list[tuple[int, int, bytes, str | None]]) -> bytes:
    with CaptureWriter(path, ("left", "right")) as capture:
        for record in records:
            capture.record(record)
    return path.read_bytes()


@given(records=RECORDS, cuts=st.lists(st.integers(0, 4000), max_size=8))
@settings(max_examples=100, deadline=None)
def test_round_trip_in_any_pieces(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[int, int, bytes, str | None]],
    cuts: list[int],
) -> None:
    data = written(tmp_path_factory.getbasetemp() / "round.pcapng", records)
    reader = PcapngReader()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    packets = [packet for start, end in pairwise(edges) for packet in reader.feed(data[start:end])]
    assert reader.interfaces == ["left", "right"]
    assert [(p.t_ns, p.interface, p.data, p.comment) for p in packets] == records
    assert [p.number for p in packets] == list(range(1, len(records) + 1))
    assert [p.inbound for p in packets] == [comment == Fate.OVERRUN.value for *_, comment in records]


def test_tshark_reads_names_times_directions_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "link.pcapng"
    written(path, [
        (1_234_567_890_123_456_789, 0, TCP, None),
        (1_234_567_890_123_456_790, 1, TCP + b"!", "drop: loss"),
        (1_234_567_890_123_456_791, 0, TCP + b"??", "corrupted: bit 12; duplicated"),
        (1_234_567_890_123_456_792, 1, TCP, "overrun"),
    ])  # fmt: skip
    fields = ["frame.number", "frame.interface_name", "frame.time_epoch", "frame.comment", "frame.len",
              "frame.packet_flags_direction"]  # fmt: skip
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:5] for row in rows] == [
        ["1", "left", "1234567890.123456789", "", "21"],
        ["2", "right", "1234567890.123456790", "drop: loss", "22"],
        ["3", "left", "1234567890.123456791", "corrupted: bit 12; duplicated", "23"],
        ["4", "right", "1234567890.123456792", "overrun", "21"],
    ]
    assert [int(row[5], 0) for row in rows] == [2, 2, 2, 1]
    assert "cut short" not in result.stderr


def test_an_empty_capture_is_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcapng"
    CaptureWriter(path, ("left", "right")).close()
    result = subprocess.run(["capinfos", "-T", "-c", str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == "0"


def test_nothing_is_visible_before_flush_and_everything_after(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    with CaptureWriter(path, ("left", "right")) as capture:
        size = path.stat().st_size
        capture.record((1, 0, TCP, None))
        assert path.stat().st_size == size
        capture.flush()
        assert path.stat().st_size > size


def test_a_full_disk_ends_the_capture_at_a_whole_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pcapng"
    real = os.write
    room = 1_000

    def write(fd: int, data: memoryview) -> int:  # a disk with room for some bytes more
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(fd, data[:room])
        room -= count
        return count

    with CaptureWriter(path, ("left", "right")) as capture:
        monkeypatch.setattr(os, "write", write)
        capture.record((1, 0, TCP, None))
        capture.flush()
        for number in range(100):
            capture.record((2 + number, 0, TCP, None))
        capture.flush()
        capture.record((200, 0, TCP, None))
        capture.flush()
    assert capture.failure == "a.pcapng: No space left on device"
    packets = PcapngReader().feed(path.read_bytes())
    assert [packet.t_ns for packet in packets] == [1]


def test_a_device_that_is_full_from_the_start() -> None:
    with pytest.raises(OSError, match="No space left"):
        CaptureWriter(Path("/dev/full"), ("left", "right"))


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CaptureWriter(tmp_path / "no" / "a.pcapng", ("left", "right"))


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_foreign_bytes_are_refused_or_waited_for(data: bytes) -> None:
    with suppress(PcapngError):
        assert PcapngReader().feed(data) == []


@given(at=st.integers(0, 10_000), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_byte_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    data = bytearray(written(tmp_path_factory.getbasetemp() / "damage.pcapng", [(5, 0, TCP, "drop: loss")] * 5))
    data[at % len(data)] = value
    with suppress(PcapngError):
        PcapngReader().feed(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(16), "classic pcap.*editcap -F pcapng"),
        (b"\x01\x00\x00\x00\x14\x00\x00\x00" + bytes(8) + b"\x14\x00\x00\x00", "no section header"),
        (SECTION[:-4] + b"\x1d\x00\x00\x00", "lengths differ"),
        (SECTION[:4] + b"\x10\x00\x00\x00" + SECTION[8:12] + b"\x10\x00\x00\x00", "too short"),
        (SECTION[:4] + b"\x0f\x00\x00\x00" + SECTION[8:], "block of 15 bytes"),
        (SECTION[:8] + bytes(20), "byte order magic 00000000"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(PcapngError, match=message):
        PcapngReader().feed(data)


PLAN = NetworkPlan(
    0, (), (LinkPlan("l", "a", "b"), LinkPlan("m", "c", "d"), LinkPlan("quiet", "e", "f", capture=False))
)


def test_the_tail_turns_growing_captures_into_frames(tmp_path: Path) -> None:
    tail = FrameTail(PLAN, tmp_path)
    assert tail.poll() == []  # the files do not exist yet
    with (
        CaptureWriter(tmp_path / "l.pcapng", ("a", "b")) as first,
        CaptureWriter(tmp_path / "m.pcapng", ("c", "d")) as second,
    ):
        first.record((10, 0, TCP, None))
        first.record((30, 1, TCP, "drop: queue full"))
        second.record((20, 1, TCP, "corrupted: bit 3"))
        first.flush()
        second.flush()
        frames = tail.poll()
        assert [(f.t_ns, f.link, f.sender, f.number, f.fate, f.delivered) for f in frames] == [
            (10, "l", "a", 1, Fate.DELIVERED, True),
            (20, "m", "d", 1, Fate.CORRUPTED, True),
            (30, "l", "b", 2, Fate.QUEUE, False),
        ]
        assert {frame.data for frame in frames} == {TCP}
        assert tail.poll() == []
        first.record((40, 1, TCP, "overrun"))
        first.flush()
        (late,) = tail.poll()
        assert (late.sender, late.fate, late.delivered, late.number) == ("a", Fate.OVERRUN, False, 3)


def test_the_tail_waits_for_the_rest_of_a_block(tmp_path: Path) -> None:
    data = written(tmp_path / "whole.pcapng", [(7, 0, TCP, None)])
    tail = FrameTail(PLAN, tmp_path)
    (tmp_path / "l.pcapng").write_bytes(data[:-5])
    assert tail.poll() == []
    (tmp_path / "l.pcapng").write_bytes(data)
    assert [frame.t_ns for frame in tail.poll()] == [7]


def test_the_tail_names_a_damaged_capture(tmp_path: Path) -> None:
    (tmp_path / "l.pcapng").write_bytes(b"no capture at all")
    with pytest.raises(PcapngError, match=r"l\.pcapng"):
        FrameTail(PLAN, tmp_path).poll()


@pytest.mark.parametrize("fate", list(Fate))
def test_every_fate_is_recognised(fate: Fate) -> None:
    assert fate_of(f"{fate.value}: details; duplicated") is fate
    assert fate_of("something else") is Fate.DELIVERED


@pytest.mark.parametrize(
    ("resolution", "stamp", "t_ns"),
    [(None, 1_234_567, 1_234_567_000), (3, 1_234, 1_234_000_000), (9, 77, 77), (0x80 | 10, 1536, 1_500_000_000)],
)
def test_other_programs_count_time_in_other_units(
    tmp_path: Path, resolution: int | None, stamp: int, t_ns: int
) -> None:
    data = written(tmp_path / "own.pcapng", [(stamp, 0, TCP, None)])
    said = bytes((9, 0, 1, 0, 9, 0, 0, 0))
    assert data.count(said) == 2
    # Option 0x7777 is nobody's, so it says nothing.
    data = data.replace(said, b"\x77\x77\x01\x00\x00\x00\x00\x00" if resolution is None else said[:4]
                        + bytes((resolution, 0, 0, 0)))  # fmt: skip
    (packet,) = PcapngReader().feed(data)
    assert (packet.t_ns, packet.data) == (t_ns, TCP)


def test_what_wireshark_tools_write_is_read(tmp_path: Path) -> None:
    text = "2026-01-01T00:00:00.250 0000 " + " ".join(f"{byte:02x}" for byte in TCP) + "\n"
    made = tmp_path / "made.pcapng"
    command = ["text2pcap", "-q", "-F", "pcapng", "-t", "ISO", "-", str(made)]
    subprocess.run(command, input=text, text=True, capture_output=True, check=True)
    (packet,) = PcapngReader().feed(made.read_bytes())
    assert packet.data == TCP
    assert packet.t_ns % 10**9 == 250_000_000


def test_what_is_not_ethernet_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path / "own.pcapng", [])
    at = data.index(b"\x01\x00\x00\x00", 28)
    with pytest.raises(PcapngError, match="link type 113"):
        PcapngReader().feed(data[: at + 8] + b"\x71\x00" + data[at + 10 :])
