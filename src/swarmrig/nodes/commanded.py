"""What is done to a node in virtual time: the network does it, at exactly the time at which time stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.timebase.fabric import VirtualFabric
from swarmrig.timebase.protocol import MEMORY_LIMIT

ADDRESS_LIMIT = 1 << 64


class CommandedNode:
    """HasConsole, CanPause, CanReset, HasMemory, through the channel of the lockstep protocol."""

    spec: NodeSpec
    _context: LaunchContext
    _end: Mapping[str, Any] | None = None
    """Where the guest was last seen, once it has ended."""

    @property
    def _network(self) -> VirtualFabric:
        """NodeError when somebody else has the other end of the channel."""
        network = self._context.network
        if not isinstance(network, VirtualFabric):
            raise NodeError(self.spec.id, "nothing can be done to it here: it is not part of a network")
        return network

    @property
    def ended_ns(self) -> int | None:
        """Run time of its end, once it has ended."""
        return None if self._end is None else int(self._end["t_ns"])

    @property
    def is_on(self) -> bool:
        raise NotImplementedError

    async def write_console(self, data: bytes) -> None:
        """Typed from now on, at the pace of a serial line (115200 bit/s)."""
        await self._command("console", data=data)

    async def pause(self) -> None:
        """The guest stands still, and its clock with it; the network's time goes on."""
        await self._command("pause")

    async def resume(self) -> None:
        await self._command("resume")

    async def reset(self) -> None:
        """Press the reset button. A paused guest stays paused."""
        await self._command("reset")

    async def read_memory(self, address: int, size: int) -> bytes:
        _check(address, size)
        async with self._network.standing():
            parts = [
                await self._command("read", address=start, size=min(MEMORY_LIMIT, address + size - start))
                for start in range(address, address + size, MEMORY_LIMIT)
            ]
        return b"".join(parts)

    async def write_memory(self, address: int, data: bytes) -> None:
        _check(address, len(data))
        async with self._network.standing():
            for start in range(0, len(data), MEMORY_LIMIT):
                part = data[start : start + MEMORY_LIMIT]
                await self._command("write", address=address + start, data=part)

    async def flip_memory(self, address: int, mask: bytes) -> tuple[bytes, bytes]:
        """Bits of RAM, ROM or flash; what is no memory is refused (NodeError)."""
        _check(address, len(mask))
        before, after = b"", b""
        async with self._network.standing():
            for start in range(0, len(mask), MEMORY_LIMIT):
                part = mask[start : start + MEMORY_LIMIT]
                both = await self._command("flip", address=address + start, data=part)
                before, after = before + both[: len(part)], after + both[len(part) :]
        return before, after

    async def _note_end(self) -> None:
        """It has ended by itself: remember where."""
        if self._end is None:
            with suppress(HostError, NodeError):  # the network's own end is the greater trouble
                self._end = await self._network.whereabouts(self.spec.id)

    @asynccontextmanager
    async def _leaving(self) -> AsyncIterator[None]:
        """Time stands while its power is taken away; then it is no part of the network."""
        async with self._network.standing():
            yield
            await self._network.detach(self.spec.id)

    @asynccontextmanager
    async def _joining(self) -> AsyncIterator[None]:
        """Time stands while it starts again; what cannot be started is no part of the network."""
        async with self._network.standing():
            try:
                yield
            except BaseException:
                if not self.is_on:
                    with anyio.CancelScope(shield=True), suppress(HostError):
                        await self._network.detach(self.spec.id)
                raise

    async def _command(self, kind: str, **details: Any) -> bytes:
        try:
            return await self._network.command(self.spec.id, kind, **details)
        except ValueError as error:
            raise NodeError(self.spec.id, f"{kind}: {error}") from error


def _check(address: int, size: int) -> None:
    if address < 0 or size < 1 or address + size > ADDRESS_LIMIT:
        raise ValueError(f"no memory range: {size} bytes at {address:#x}")
