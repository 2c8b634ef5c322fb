"""Dumps as QEMU writes them: read in any portions, refused when they are none, and mapped to run time."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.net.dump import MAX_FRAME, WINDOW_NS, DumpError, DumpReader, GuestTimes

MS = 1_000_000
US_MAGIC, NS_MAGIC = 0xA1B2C3D4, 0xA1B23C4D

stamps = st.integers(0, 2**31 * 10**6)
records = st.lists(st.tuples(stamps, st.binary(max_size=200)), max_size=12)


def header(order: str = "<", magic: int = US_MAGIC, link_type: int = 1) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65536, link_type)


def record(order: str, stamp: int, per_second: int, frame: bytes) -> bytes:
    return struct.pack(f"{order}IIII", *divmod(stamp, per_second), len(frame), len(frame)) + frame


def fed(data: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    reader = DumpReader()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [found for at, end in pairwise(places) for found in reader.feed(data[at:end])]


@given(records, st.lists(st.integers(0, 5000)), st.sampled_from("<>"))
def test_any_portions_give_the_same_frames(written: list[tuple[int, bytes]], cuts: list[int], order: str) -> None:
    data = header(order) + b"".join(record(order, stamp, 10**6, frame) for stamp, frame in written)
    assert fed(data, cuts) == [(stamp * 1000, frame) for stamp, frame in written]


@given(records)
def test_nanosecond_dumps(written: list[tuple[int, bytes]]) -> None:
    data = header(magic=NS_MAGIC) + b"".join(record("<", stamp, 10**9, frame) for stamp, frame in written)
    assert fed(data, []) == written


def test_a_record_that_is_not_whole_is_not_told() -> None:
    whole = record("<", 5, 10**6, b"x" * 60)
    reader = DumpReader()
    assert reader.feed(header() + whole + whole[:-1]) == [(5000, b"x" * 60)]
    assert reader.feed(whole[-1:]) == [(5000, b"x" * 60)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "0a0d0d0a"),  # pcapng
        (bytes(24), "no magic number"),
        (header(link_type=113), "link type 113"),
        (header() + struct.pack("<IIII", 0, 0, MAX_FRAME + 1, 0), f"{MAX_FRAME + 1} bytes"),
    ],
)
def test_what_is_no_dump(data: bytes, reason: str) -> None:
    with pytest.raises(DumpError, match=reason):
        DumpReader().feed(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    try:
        found = DumpReader().feed(data)
    except DumpError:
        return
    assert sum(len(frame) + 16 for _, frame in found) <= len(data)


def test_late_reading_does_not_move_frames() -> None:
    """Frames every 50 ms by the guest's clock, read with delays up to 40 ms; the first one with 3 ms."""
    times, distance = GuestTimes(), 7_000 * MS
    delays = [3, 40, 0, 17, 1, 33, 0, 25]
    told = [times.run_time(n * 50 * MS, n * 50 * MS + distance + delay * MS) for n, delay in enumerate(delays)]
    assert told[:2] == [distance + 3 * MS, distance + 53 * MS]  # nothing better is known yet
    assert told[2:] == [distance + n * 50 * MS for n in range(2, 8)]


def test_frames_that_are_read_together_keep_their_distances() -> None:
    times = GuestTimes()
    assert [times.run_time(stamp, 900) for stamp in (100, 150, 400)] == [900, 900, 900]
    assert [times.run_time(stamp, 2000) for stamp in (1000, 1100)] == [1500, 1600]


@given(st.lists(st.tuples(st.integers(0, 200 * MS), st.integers(0, 300 * MS)), min_size=1, max_size=60))
def test_times_never_go_back_and_are_never_later_than_the_reading_nor_early(steps: list[tuple[int, int]]) -> None:
    times, stamp, last, distance, latest_read = GuestTimes(), 0, 0, 5_000 * MS, 0
    for gap, delay in steps:
        stamp += gap
        latest_read = max(latest_read, stamp + distance + delay)
        told = times.run_time(stamp, latest_read)
        assert last <= told <= latest_read
        assert told >= stamp + distance
        last = told


def test_after_a_pause_the_clocks_are_matched_anew() -> None:
    times, pause = GuestTimes(), 5 * WINDOW_NS
    assert times.run_time(10 * MS, 20 * MS) == 20 * MS
    assert times.run_time(20 * MS, 30 * MS + pause) == 30 * MS + pause
