"""The console of an emulator: read as it comes, logged raw, passed on; a flood costs neither memory nor the others."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from swarmrig.errors import HostError, NodeError

LOG_LIMIT = 64 << 20
TRUNCATED = b"\n[console truncated here: the log has reached its limit]\n"
CHUNK = 64 << 10
PAUSE_S = 0.01
"""A console that fills a whole chunk waits this long for its next turn: 6.4 MB/s, and the others are served."""
WRITE_DEADLINE_S = 5.0
DRAIN_LIMIT = 1 << 20


class Console:
    """Made by `open_console`."""

    def __init__(self, node: str, sock: socket.socket, log: int, sink: Callable[[bytes], None], limit: int) -> None:
        self.node = node
        self.bytes = 0
        """Received so far, also beyond what is logged."""
        self._logged = os.fstat(log).st_size
        self.first_output = anyio.Event()
        """Set at the first byte, or when the other end has closed."""
        self.truncated = False
        """The log has reached its limit."""
        self.failure: OSError | None = None
        """Why the log could not be written on, if so (disk full). Reading goes on."""
        self._sock = sock
        self._log = log
        self._sink = sink
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._closed = False
        self._stalled = False
        self._typing = anyio.Lock()

    async def write(self, data: bytes) -> None:
        """Type into the console. NodeError when the guest does not take it in time."""
        try:
            with anyio.fail_after(WRITE_DEADLINE_S):
                async with self._typing:
                    await self._loop.sock_sendall(self._sock, data)
        except TimeoutError:
            raise NodeError(self.node, f"its console takes no input since {WRITE_DEADLINE_S:g} s") from None
        except OSError as error:
            raise NodeError(self.node, f"its console is closed: {error.strerror}") from error

    def drain(self) -> None:
        """Take what the emulator has left behind; for after its end, when nothing more can come."""
        taken = 0
        while not self._closed and taken < DRAIN_LIMIT:
            before = self.bytes
            if not self._read_once():
                return
            taken += self.bytes - before

    def go_on(self) -> None:
        """The node has said something in a former life: what it says now begins with a new line, and a log that was
        full stays as it is."""
        self.truncated = self._logged > self._limit
        if self._logged and os.pread(self._log, 1, self._logged - 1) != b"\n":
            self._write_log(b"\n")
            self._sink(b"\n")

    def watch(self) -> None:
        if not self._stalled and not self._closed:
            self._loop.add_reader(self._sock, self._on_readable)

    def stall(self) -> None:
        """Leave it unread: what the line can hold waits, and then the guest's UART does."""
        self._stalled = True
        self._pause()

    def unstall(self) -> None:
        """Read on, what has waited first."""
        self._stalled = False
        self.watch()

    def close(self) -> None:
        self._pause()
        self._closed = True
        if self._resume:
            self._resume.cancel()

    def _pause(self) -> None:
        self._loop.remove_reader(self._sock)

    def _on_readable(self) -> None:
        before = self.bytes
        if not self._read_once():
            return
        if self.bytes - before >= CHUNK:
            self._pause()
            self._resume = self._loop.call_later(PAUSE_S, self.watch)

    def _read_once(self) -> bool:
        """Take one chunk; False when there was none."""
        try:
            chunk = self._sock.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a reset connection: the emulator died with our input unread
            chunk = b""
        self.first_output.set()
        if not chunk:
            self.close()
            return False
        self._write_log(chunk)
        self.bytes += len(chunk)
        self._sink(chunk)
        return True

    def _write_log(self, chunk: bytes) -> None:
        if self.truncated or self.failure:
            return
        room = max(0, self._limit - self._logged)
        self._logged += len(chunk)
        self.truncated = len(chunk) > room
        data = chunk[:room] + TRUNCATED if self.truncated else chunk
        try:
            while data:
                data = data[os.write(self._log, data) :]
        except OSError as error:
            self.failure = error


@contextmanager
def open_console(
    node: str, sock: socket.socket, log: Path, sink: Callable[[bytes], None], *, limit: int | None = None
) -> Iterator[Console]:
    """Read the console behind `sock` until its end or the context's.

    `sink` gets every chunk; `log` gets them raw, up to `limit` bytes (LOG_LIMIT) and then a note that it was cut. What
    is in the log already stays there.
    """
    try:
        fd = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"the console log {log} cannot be written: {error.strerror}") from error
    try:
        sock.setblocking(False)
        console = Console(node, sock, fd, sink, LOG_LIMIT if limit is None else limit)
        console.go_on()
        console.watch()
        try:
            yield console
        finally:
            console.drain()
            console.close()
    finally:
        os.close(fd)
