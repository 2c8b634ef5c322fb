"""The pseudo-terminals that Renode makes for UARTs: always read, since nothing in Renode goes on while one is full."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio

from swarmrig.errors import NodeError
from swarmrig.nodes.renode.chores import going_on

CHUNK = 64 << 10


@asynccontextmanager
async def joined(node: str, link: Path) -> AsyncIterator[socket.socket]:
    """A socket that has the terminal's output, and takes its input. NodeError when there is no terminal."""
    ours, theirs = socket.socketpair()
    with ours, theirs, _terminal(node, link) as terminal:
        theirs.setblocking(False)
        async with going_on(lambda: _carry_out(terminal, theirs), lambda: _carry_in(theirs, terminal)):
            yield ours


@contextmanager
def _terminal(node: str, link: Path) -> Iterator[int]:
    try:
        fd = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NodeError(node, f"Renode made no terminal at {link}: {error.strerror}") from error
    try:
        with suppress(termios.error):  # Renode has just gone: whoever looks after it tells
            tty.setraw(fd)
        yield fd
    finally:
        os.close(fd)


async def _carry_out(terminal: int, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await _read(terminal):
        try:
            await loop.sock_sendall(sock, data)
        except OSError:
            return


async def _carry_in(sock: socket.socket, terminal: int) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(sock, CHUNK):
        while data:
            await anyio.wait_writable(terminal)
            try:
                data = data[os.write(terminal, data) :]
            except BlockingIOError:
                continue
            except OSError:  # Renode is gone
                return


async def _read(terminal: int) -> bytes:
    """What there is; b"" once the other end is closed, which a terminal tells by EIO."""
    while True:
        await anyio.wait_readable(terminal)
        try:
            return os.read(terminal, CHUNK)
        except BlockingIOError:
            continue
        except OSError:
            return b""
