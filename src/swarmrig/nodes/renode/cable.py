"""In real time, between the node's port in the network and what Renode has for it."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio

from swarmrig.nodes.renode.chores import going_on
from swarmrig.nodes.renode.serial import bytes_of, frames_of

FRAME = 65536
FCS = 4
_PACKET_OUTGOING = 4
"""linux/if_packet.h: what we, or the kernel, have sent ourselves."""

Deliver = Callable[[bytes], Awaitable[None]]


def without_fcs(frame: bytes) -> bytes:
    """Renode's controllers send frames with their checksum (CRC-32, least significant byte first), which the network
    has none of."""
    body, check = frame[:-FCS], frame[-FCS:]
    return body if len(body) >= 14 and zlib.crc32(body).to_bytes(FCS, "little") == check else frame


@asynccontextmanager
async def unplugged(port: socket.socket) -> AsyncIterator[None]:
    """Nothing is joined: what comes is lost, and nobody waits for it to be taken."""

    async def lose(_: bytes) -> None:
        return

    async with _delivering(port, lose):
        yield


@asynccontextmanager
async def serial_cable(port: socket.socket, line: socket.socket, mac: str) -> AsyncIterator[None]:
    """A UART's line, joined."""
    loop = asyncio.get_running_loop()
    line.setblocking(False)

    async def deliver(frame: bytes) -> None:
        if data := bytes_of(frame):
            await loop.sock_sendall(line, data)

    async def send() -> None:
        while data := await loop.sock_recv(line, FRAME):
            for frame in frames_of(mac, data):
                await loop.sock_sendall(port, frame)

    async with _delivering(port, deliver, send):
        yield


@asynccontextmanager
async def ethernet_cable(port: socket.socket, raw: socket.socket) -> AsyncIterator[None]:
    """An interface's raw socket, joined."""
    loop = asyncio.get_running_loop()

    async def deliver(frame: bytes) -> None:
        with suppress(OSError):  # the interface is down, or its queue full
            raw.send(frame)

    async def send() -> None:
        while True:
            await anyio.wait_readable(raw)
            with suppress(BlockingIOError):
                frame, address = raw.recvfrom(FRAME)
                if address[2] != _PACKET_OUTGOING:
                    await loop.sock_sendall(port, without_fcs(frame))

    async with _delivering(port, deliver, send):
        yield


@asynccontextmanager
async def _delivering(
    port: socket.socket, deliver: Deliver, send: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[None]:
    """Until the context ends, or one of the sides."""
    loop = asyncio.get_running_loop()
    port.setblocking(False)

    async def receive() -> None:
        while frame := await loop.sock_recv(port, FRAME):
            await deliver(frame)

    async def forgiving(work: Callable[[], Awaitable[None]]) -> None:
        with suppress(OSError):  # Renode is gone, or the network; whoever looks after them tells
            await work()

    async with going_on(*(partial(forgiving, work) for work in (receive, send) if work is not None)):
        yield
