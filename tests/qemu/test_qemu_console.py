"""The console reader on a socket pair: every byte, in order, once; what it must not do."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import HostError, NodeError
from swarmrig.nodes import console
from swarmrig.nodes.console import TRUNCATED, open_console

pytestmark = pytest.mark.anyio


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, and the emulator's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Line = tuple[socket.socket, socket.socket]


async def test_bytes_arrive_as_they_are_and_are_logged(line: Line, tmp_path: Path) -> None:
    seen = bytearray()
    with open_console("n1", line[0], tmp_path / "log", seen.extend) as tap:
        assert not tap.first_output.is_set()
        line[1].sendall(b"I (2) boot\r\n\xff\x00")
        with anyio.fail_after(2):
            await tap.first_output.wait()
        assert bytes(seen) == b"I (2) boot\r\n\xff\x00"
        assert (tmp_path / "log").read_bytes() == bytes(seen)  # not buffered: the live view reads it
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


async def test_what_is_left_at_the_end_is_still_taken(line: Line, tmp_path: Path) -> None:
    seen = bytearray()
    with open_console("n1", line[0], tmp_path / "log", seen.extend):
        line[1].sendall(b"x" * 150_000)
        line[1].close()
    assert len(seen) == 150_000 and (tmp_path / "log").stat().st_size == 150_000


async def test_draining_an_endless_flood_ends(line: Line, tmp_path: Path) -> None:
    line[1].setblocking(False)
    taken = 0

    def refill(chunk: bytes) -> None:
        nonlocal taken
        taken += len(chunk)
        with suppress(BlockingIOError):
            line[1].send(b"y" * 65536)

    with open_console("n1", line[0], tmp_path / "log", refill):
        line[1].send(b"y" * 65536)
    assert console.DRAIN_LIMIT <= taken <= console.DRAIN_LIMIT + (1 << 18)


@pytest.mark.parametrize("sizes", [(10, 10), (20,), (7, 7, 6), (20, 5)])
async def test_the_log_is_cut_once_and_reading_goes_on(line: Line, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    seen = bytearray()
    with open_console("n1", line[0], tmp_path / "log", seen.extend, limit=20) as tap:
        for number, size in enumerate(sizes):
            line[1].sendall(bytes((65 + number,)) * size)
            tap.drain()
        assert tap.truncated is (sum(sizes) > 20)
        line[1].sendall(b"more")
        tap.drain()
        line[1].sendall(b"and more")
        tap.drain()
        assert tap.truncated
    assert len(seen) == sum(sizes) + 12
    assert (tmp_path / "log").read_bytes() == bytes(seen[:20]) + TRUNCATED


async def test_exactly_at_the_limit_nothing_is_cut(line: Line, tmp_path: Path) -> None:
    with open_console("n1", line[0], tmp_path / "log", lambda chunk: None, limit=20) as tap:
        line[1].sendall(b"z" * 20)
        tap.drain()
        assert not tap.truncated
    assert (tmp_path / "log").read_bytes() == b"z" * 20


async def test_a_full_disk_does_not_stop_the_guest(line: Line) -> None:
    seen = bytearray()
    with open_console("n1", line[0], Path("/dev/full"), seen.extend) as tap:
        for _ in range(3):
            line[1].sendall(b"hello")
            tap.drain()
        assert tap.failure is not None and tap.failure.errno == errno.ENOSPC
    assert bytes(seen) == b"hello" * 3


async def test_the_log_is_no_link_and_no_directory(line: Line, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    for name in ("link", "missing/log"):
        with pytest.raises(HostError, match="cannot be written"), open_console("n1", line[0], tmp_path / name, print):
            pytest.fail("opened")
    assert not (tmp_path / "victim").exists()


async def test_a_node_that_takes_no_input(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "WRITE_DEADLINE_S", 0.1)
    with open_console("n1", line[0], tmp_path / "log", lambda chunk: None) as tap:
        with pytest.raises(NodeError, match=r"takes no input since 0\.1 s"):
            await tap.write(b"x" * 10_000_000)


async def test_writing_and_reading_at_the_same_time(line: Line, tmp_path: Path) -> None:
    seen = bytearray()
    line[1].setblocking(False)
    with open_console("n1", line[0], tmp_path / "log", seen.extend) as tap:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tap.write, b"q" * 500_000)
            echoed = 0
            with anyio.fail_after(5):
                while echoed < 500_000:
                    await anyio.wait_readable(line[1])
                    data = line[1].recv(65536)
                    await anyio.wait_writable(line[1])
                    echoed += line[1].send(data)
                while len(seen) < 500_000:
                    await anyio.sleep(0.001)
    assert bytes(seen) == b"q" * 500_000


async def test_writers_take_turns(line: Line, tmp_path: Path) -> None:
    """More than the socket holds, from two tasks: each arrives whole."""
    got = bytearray()
    line[1].setblocking(False)
    with open_console("n1", line[0], tmp_path / "log", lambda chunk: None) as tap:
        async with anyio.create_task_group() as tasks:
            for letter in (b"a", b"b"):
                tasks.start_soon(tap.write, letter * 400_000)
            with anyio.fail_after(5):
                while len(got) < 800_000:
                    await anyio.wait_readable(line[1])
                    got += line[1].recv(65536)
    assert bytes(got) in (b"a" * 400_000 + b"b" * 400_000, b"b" * 400_000 + b"a" * 400_000)


async def test_another_life_goes_on_in_the_same_log_on_a_line_of_its_own(tmp_path: Path) -> None:
    log, heard = tmp_path / "log", bytearray()
    for said in (b"half a line", b"whole\r\n", b"again\n"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with open_console("n1", ours, log, heard.extend):
                theirs.sendall(said)
                theirs.close()
    assert log.read_bytes() == bytes(heard) == b"half a line\nwhole\r\nagain\n"


async def test_a_log_that_is_full_stays_as_it_is_in_another_life(tmp_path: Path) -> None:
    log, heard = tmp_path / "log", bytearray()
    for said in (b"0123456789", b"abc\n"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with open_console("n1", ours, log, heard.extend, limit=4) as tap:
                theirs.sendall(said)
                theirs.close()
        assert tap.truncated
    assert log.read_bytes() == b"0123" + TRUNCATED and bytes(heard) == b"0123456789abc\n"
