"""QEMU's machine protocol over a connected socket; connected to when it is first needed."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from qemu.qmp import ExecuteError, QMPClient, QMPError

from swarmrig.errors import NodeError

DEADLINE_S = 5.0

# What the library logs comes as an exception, too; without a handler it would be printed.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """Made by `open_monitor`. Commands of several tasks take turns."""

    def __init__(self, node: str, sock: socket.socket) -> None:
        self._node = node
        self._sock = sock
        self._client: QMPClient | None = None
        self._turn = anyio.Lock()

    async def execute(self, command: str, **arguments: Any) -> Any:
        """The command's answer. NodeError when the emulator refuses it, or does not answer in time."""
        try:
            with anyio.fail_after(DEADLINE_S):
                async with self._turn:
                    client = await self._connected()
                    return await client.execute(command, arguments or None)
        except TimeoutError:
            raise NodeError(self._node, f"the emulator did not answer {command!r} within {DEADLINE_S:g} s") from None
        except ExecuteError as error:
            raise NodeError(self._node, f"the emulator refuses {command!r}: {error}") from error
        except (QMPError, EOFError, OSError) as error:
            raise NodeError(
                self._node, f"the emulator cannot be asked to {command!r}: {error or 'it is gone'}"
            ) from error

    async def pass_descriptor(self, name: str, fd: int) -> None:
        """Give the emulator a copy of a file descriptor, by which other commands know it as `name`."""
        with anyio.fail_after(DEADLINE_S):
            async with self._turn:
                client = await self._connected()
                client.send_fd_scm(fd)
        await self.execute("getfd", fdname=name)

    async def close(self) -> None:
        """Let go of the connection; how it ended does not matter."""
        if self._client is None:
            return
        client, self._client = self._client, None
        with suppress(QMPError, EOFError, OSError):
            await client.disconnect()

    async def _connected(self) -> QMPClient:
        if self._client is None:
            client = QMPClient(self._node)
            # Nobody reads the events; the default listener would keep them all.
            client.events.event_filter = lambda _event: False
            await client.connect(self._sock)
            self._client = client
        return self._client


@asynccontextmanager
async def open_monitor(node: str, sock: socket.socket) -> AsyncIterator[Monitor]:
    """The monitor behind a connected stream socket, whose owner closes it after this context."""
    monitor = Monitor(node, sock)
    try:
        yield monitor
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(DEADLINE_S):
            await monitor.close()


async def greeted(sock: socket.socket) -> None:
    """Return when the emulator's greeting can be read (it stays unread): all of its initialisation is done then.

    Never returns when the emulator closes the connection instead: it is ending, and its end says more.
    """
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    greeting: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        loop.remove_reader(sock)
        try:
            something = sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return
        if something and not greeting.done():
            greeting.set_result(None)

    loop.add_reader(sock, on_readable)
    try:
        await greeting
    finally:
        loop.remove_reader(sock)
