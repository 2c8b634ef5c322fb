"""A console as a stream: everything from the first boot on, and for as many listeners as there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import ObjectStream

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.jumpstarter.rig import PowerOffError, Rig


class ConsoleStream(ObjectStream[bytes]):
    """Made by `open_console_stream`. Its reader's first bytes are the node's first; it ends with its listener, not with
    the power: as a serial line does."""

    def __init__(self, rig: Rig, node: str) -> None:
        self._rig = rig
        self._node = node
        self._reader = rig.reader(node)
        self._loop = asyncio.get_running_loop()
        self._more = anyio.Event()

    async def receive(self) -> bytes:
        """What the node has said, at most 64 KiB; waits until that is something."""
        while True:
            self._more = anyio.Event()
            data = self._reader.read()
            if data:
                return data
            await self._more.wait()

    async def send(self, item: bytes) -> None:
        """Type. What is typed while nobody is there to hear it (the power is off, the plug pulled) is lost."""
        with suppress(PowerOffError, SwarmrigError):
            await anyio.to_thread.run_sync(self._rig.swarm.node(self._node).write, item)

    async def send_eof(self) -> None:
        """A serial line has no end."""

    async def aclose(self) -> None:
        """See `open_console_stream`."""

    @property
    def extra_attributes(self) -> Mapping[Any, Any]:
        return {}

    def wake(self) -> None:
        """There may be more; called in any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._more.set())


@asynccontextmanager
async def open_console_stream(rig: Rig, node: str) -> AsyncIterator[ConsoleStream]:
    """A listener of a node's console."""
    stream = ConsoleStream(rig, node)
    rig.listen(stream, stream.wake)
    try:
        yield stream
    finally:
        rig.unlisten(stream)
