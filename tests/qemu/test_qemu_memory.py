"""Guest memory over QEMU's qtest protocol, against a small server of ours; the real one is in test_qemu_live."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from swarmrig.errors import NodeError
from swarmrig.nodes.emulator.memory import BLOCK, GuestMemory

pytestmark = pytest.mark.anyio


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@asynccontextmanager
async def served(theirs: socket.socket, content: bytearray) -> AsyncIterator[list[str]]:
    """Answers b64read and b64write over `content`, byte by byte in small pieces; tells the commands it got."""
    commands: list[str] = []
    theirs.setblocking(False)

    async def serve() -> None:
        pending = b""
        while True:
            await anyio.wait_readable(theirs)
            pending += theirs.recv(100_000)
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                words = line.decode().split()
                commands.append(words[0])
                start, count = int(words[1], 16), int(words[2], 16)
                answer = b"OK\n"
                if words[0] == "b64read":
                    answer = b"OK " + base64.b64encode(content[start : start + count]) + b"\n"
                else:
                    content[start : start + count] = base64.b64decode(words[3])
                for at in range(0, len(answer), 1000):
                    await anyio.wait_writable(theirs)
                    theirs.send(answer[at : at + 1000])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield commands
        tasks.cancel_scope.cancel()


async def test_reading_and_writing_in_blocks(line: tuple[socket.socket, socket.socket]) -> None:
    content = bytearray(bytes(range(256)) * 1024)
    async with served(line[1], content) as commands:
        memory = GuestMemory("n1", line[0])
        assert await memory.read(3, 2 * BLOCK + 5) == content[3 : 2 * BLOCK + 8]
        assert commands == ["b64read"] * 3
        await memory.write(BLOCK - 1, b"\n\x00 OK\xff" * BLOCK)
        assert content[BLOCK - 1 : 7 * BLOCK - 1] == b"\n\x00 OK\xff" * BLOCK


async def test_users_take_turns(line: tuple[socket.socket, socket.socket]) -> None:
    async with served(line[1], bytearray(b"abcdefgh")):
        memory = GuestMemory("n1", line[0])
        results: dict[int, bytes] = {}

        async def read(at: int) -> None:
            results[at] = await memory.read(at, 1)

        async with anyio.create_task_group() as tasks:
            for at in range(8):
                tasks.start_soon(read, at)
        assert b"".join(results[at] for at in range(8)) == b"abcdefgh"


async def test_after_a_lost_answer_nothing_is_mistaken_for_it(line: tuple[socket.socket, socket.socket]) -> None:
    memory = GuestMemory("n1", line[0])
    with anyio.move_on_after(0.05):
        await memory.read(0, 1)
    line[1].sendall(b"OK AA==\n")  # the answer, too late
    with pytest.raises(NodeError, match="cannot be reached any more"):
        await memory.read(4, 1)


@pytest.mark.parametrize(("address", "size"), [(-1, 4), (0, 0), ((1 << 64) - 2, 4), (0, -1)])
async def test_ranges_that_do_not_exist(line: tuple[socket.socket, socket.socket], address: int, size: int) -> None:
    with pytest.raises(ValueError, match="no memory range"):
        await GuestMemory("n1", line[0]).read(address, size)
