"""What is done to a node in virtual time: the network does it, at exactly the time at which time stands."""

from __future__ import annotations

from typing import Any

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.timebase.fabric import VirtualFabric
from swarmrig.timebase.protocol import MEMORY_LIMIT

ADDRESS_LIMIT = 1 << 64


class CommandedNode:
    """HasConsole, CanPause, CanReset, HasMemory, through the channel of the lockstep protocol."""

    spec: NodeSpec
    _context: LaunchContext

    @property
    def _network(self) -> VirtualFabric:
        """NodeError when somebody else has the other end of the channel."""
        network = self._context.network
        if not isinstance(network, VirtualFabric):
            raise NodeError(self.spec.id, "nothing can be done to it here: it is not part of a network")
        return network

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

    async def _command(self, kind: str, **details: Any) -> bytes:
        try:
            return await self._network.command(self.spec.id, kind, **details)
        except ValueError as error:
            raise NodeError(self.spec.id, f"{kind}: {error}") from error


def _check(address: int, size: int) -> None:
    if address < 0 or size < 1 or address + size > ADDRESS_LIMIT:
        raise ValueError(f"no memory range: {size} bytes at {address:#x}")
