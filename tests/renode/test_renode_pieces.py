"""The small parts, each by itself: the log, serial lines as frames, checksums of frames."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import DATA, VERSIONS

from swarmrig.nodes.renode.cable import without_fcs
from swarmrig.nodes.renode.logwatch import LogWatch
from swarmrig.nodes.renode.serial import PAYLOAD, bytes_of, frames_of

MAC = "02:00:00:00:00:01"


def watched(data, size):
    watch, told = LogWatch(), []
    watch.on_failure = told.append
    for start in range(0, len(data), size):
        watch.feed(data[start : start + size])
    return watch, told


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_abort_in_a_recorded_log_is_found_and_told_once(version, size):
    watch, told = watched((DATA / f"renode-{version}" / "t9_abort.stdout").read_bytes(), size)
    assert watch.listening.is_set() and watch.failed.is_set()
    assert told == [watch.failure] and "CPU abort [PC=0x9ABCDEF0]" in watch.failure
    assert watch.errors == watch.failure


@pytest.mark.parametrize("version", VERSIONS)
def test_a_log_of_a_good_run_has_no_failure(version):
    watch, told = watched((DATA / f"renode-{version}" / "t7_quit.stdout").read_bytes(), 100)
    assert watch.listening.is_set() and not watch.failed.is_set() and told == [] and watch.errors == ""


def test_errors_that_a_machine_survives_are_kept_for_the_last_words():
    watch, told = watched((DATA / "renode-1.15.3" / "t1_main.stdout").read_bytes(), 64)
    assert "Download failed 5 times, aborting." in watch.errors
    assert "CPU was halted" in watch.failure  # firmware was reset away in that session
    assert len(told) == 1


def test_a_line_without_end_costs_no_memory():
    watch = LogWatch()
    for _ in range(100):
        watch.feed(b"x" * 65536)
    assert len(watch._rest) <= 4096


@given(st.binary(max_size=3 * PAYLOAD))
def test_bytes_of_a_line_survive_the_network(data):
    frames = list(frames_of(MAC, data))
    assert b"".join(map(bytes_of, frames)) == data
    assert all(60 <= len(frame) <= 1514 for frame in frames)
    assert all(frame[6:14] == bytes.fromhex("020000000001 88b5") for frame in frames)


@given(st.binary(max_size=100))
def test_other_frames_carry_nothing_of_a_line(data):
    if data[12:14] != b"\x88\xb5":
        assert bytes_of(data) == b""


@pytest.mark.parametrize("length", [0xFFFF, PAYLOAD + 1, 61])
def test_a_frame_that_was_damaged_in_its_length_carries_nothing(length):
    (frame,) = frames_of(MAC, b"hello")
    assert bytes_of(frame[:14] + length.to_bytes(2, "big") + frame[16:]) == b""


@given(st.binary(min_size=14, max_size=200))
def test_a_checksum_is_taken_off_and_nothing_else(body):
    frame = body + zlib.crc32(body).to_bytes(4, "little")
    assert without_fcs(frame) == body
    damaged = frame[:-1] + bytes([frame[-1] ^ 1])
    assert without_fcs(damaged) == damaged
