"""A machine's memory through its bus, word by word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from swarmrig.errors import NodeError

ADDRESS_LIMIT = 1 << 64
SIZE_LIMIT = 64 << 10
"""Bytes at a time: each word is a command."""
_WORDS = {4: "DoubleWord", 1: "Byte"}

Execute = Callable[[str], Awaitable[str]]


async def read(node: str, execute: Execute, address: int, size: int) -> bytes:
    """NodeError when Renode answers with no number. What is not mapped reads as zeros."""
    content = bytearray()
    for place, width in _pieces(address, size):
        answer = await execute(f"sysbus Read{_WORDS[width]} {place:#x}")
        try:
            content += int(answer.splitlines()[-1], 0).to_bytes(width, "little")
        except (ValueError, IndexError, OverflowError):
            raise NodeError(node, f"Renode answered {answer[:80]!r} to a memory read") from None
    return bytes(content)


async def write(execute: Execute, address: int, data: bytes) -> None:
    for place, width in _pieces(address, len(data)):
        value = int.from_bytes(data[place - address : place - address + width], "little")
        await execute(f"sysbus Write{_WORDS[width]} {place:#x} {value:#x}")


async def flip(node: str, execute: Execute, address: int, mask: bytes) -> tuple[bytes, bytes]:
    """The bytes before, and those after; at one instant when the machine stands still."""
    before = await read(node, execute, address, len(mask))
    await write(execute, address, bytes(old ^ bits for old, bits in zip(before, mask, strict=True)))
    return before, await read(node, execute, address, len(mask))


def _pieces(address: int, size: int) -> Iterator[tuple[int, int]]:
    """Words where they are aligned, bytes elsewhere. ValueError for what is no range."""
    if address < 0 or size < 1 or address + size > ADDRESS_LIMIT:
        raise ValueError(f"no memory range: {size} bytes at {address:#x}")
    if size > SIZE_LIMIT:
        raise ValueError(f"{size} bytes of memory at once: {SIZE_LIMIT} at most")
    end = address + size
    while address < end:
        width = 4 if address % 4 == 0 and end - address >= 4 else 1
        yield address, width
        address += width
