"""TCP ports of this machine that lead into a network namespace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread

from swarmrig.errors import SwarmrigError
from swarmrig.net.netns import open_socket
from swarmrig.nodes.container.setup import HOST, Port, port_refused

CONNECT_S = 5.0
CHUNK = 64 << 10

Namespace = Callable[[], int | None]
"""An open descriptor of the namespace that is meant just now; None while there is none."""


@asynccontextmanager
async def forwarding(node: str, port: Port, address: str, namespace: Namespace) -> AsyncIterator[None]:
    """Pass connections to 127.0.0.1 on to the address in the namespace. Who cannot be passed on is hung up on.

    NodeError when the port cannot be listened on.
    """
    relays: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays.add(task)
        try:
            await _relay(reader, writer, (address, port.container), namespace())
        finally:
            relays.discard(task)

    try:
        server = await asyncio.start_server(accepted, HOST, port.host, limit=CHUNK)
    except OSError as error:
        raise port_refused(node, port, error) from error
    try:
        yield
    finally:
        server.close()
        for task in list(relays):
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*relays, return_exceptions=True)
            await server.wait_closed()


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int], namespace: int | None
) -> None:
    inner: asyncio.StreamWriter | None = None
    try:
        with suppress(OSError, SwarmrigError, TimeoutError):
            if namespace is not None:
                inner_reader, inner = await _connected(target, namespace)
                await asyncio.gather(_pass_on(reader, inner), _pass_on(inner_reader, writer))
    finally:
        for each in (writer, inner):
            if each is not None:
                each.transport.abort() if each.transport.is_closing() else each.close()


async def _connected(target: tuple[str, int], namespace: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock: socket.socket = await anyio.to_thread.run_sync(open_socket, namespace)
    try:
        sock.setblocking(False)
        with anyio.fail_after(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, target)
        return await asyncio.open_connection(sock=sock, limit=CHUNK)
    except BaseException:
        sock.close()
        raise


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the sender has said its last; the other way stays open."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
