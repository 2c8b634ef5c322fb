"""What goes wrong with NOR flash while nobody looks: bytes in, bytes out, and the same on an image that is at rest.

NOR flash is erased to ones, and programmed by clearing bits; whatever is written is ANDed to what is there. A cell
keeps a zero as a charge, which it loses over the years: rot turns zeros into ones. Programming and reading others of
its block may add charge: disturbance turns ones into zeros.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from swarmrig.flash.partition import TABLE_BYTES, TABLE_OFFSET, Partition, PartitionError, parse_table

ERASED = 0xFF


class Rot(StrEnum):
    """Which way bits change by themselves."""

    LOSS = "loss"  # zeros become ones: a cell loses its charge
    DISTURB = "disturb"  # ones become zeros: neighbours are read or programmed too often
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a flash image."""

    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.name} ({self.offset:#x}..{self.offset + self.size:#x})"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to an image."""

    offset: int
    before: bytes
    after: bytes

    @property
    def changed(self) -> list[int]:
        """Offsets in the image of the bytes that differ."""
        pairs = zip(self.before, self.after, strict=True)
        return [self.offset + index for index, (old, new) in enumerate(pairs) if old != new]


def corrupt(content: bytes, count: int, chance: random.Random) -> bytes:
    """`count` bytes (all, if there are fewer) are something else than they were."""
    damaged = bytearray(content)
    for index in chance.sample(range(len(content)), min(count, len(content))):
        damaged[index] ^= chance.randint(1, 255)
    return bytes(damaged)


def rot(content: bytes, bits: int, way: Rot, chance: random.Random) -> bytes:
    """`bits` bits that can change this way have changed; ValueError when there are fewer."""
    able = _able(content, way)
    if sum(byte.bit_count() for byte in able) < bits:
        raise ValueError(f"not {bits} bits there can change ({way}): {sum(byte.bit_count() for byte in able)} can")
    rotten = bytearray(content)
    left = bits
    while left:  # drawn again where a bit cannot change, or has: regions are far larger than the damage
        index, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        if able[index] & bit:
            able[index] ^= bit
            rotten[index] ^= bit
            left -= 1
    return bytes(rotten)


def erase(content: bytes) -> bytes:
    """As after an erase command."""
    return bytes([ERASED]) * len(content)


def program(content: bytes, data: bytes, at: int = 0) -> bytes:
    """`data` written at `at`, by the rule of NOR flash: bits are only cleared."""
    _check_room(content, data, at)
    end = at + len(data)
    return content[:at] + bytes(old & new for old, new in zip(content[at:end], data, strict=True)) + content[end:]


def torn_write(content: bytes, data: bytes, at: int, written: int, chance: random.Random) -> bytes:
    """A write of `data` that lost its power after `written` bytes, the next of them half-way: some of its bits."""
    _check_room(content, data, at)
    if not 0 <= written < len(data):
        raise ValueError(f"a write of {len(data)} bytes is torn after 0 to {len(data) - 1}, not {written}")
    half = bytes([data[written] | chance.randrange(256)])
    return program(content, data[:written] + half, at)


def change_image(image: Path, place: Place, change: Callable[[bytes], bytes]) -> Change:
    """Change a stretch of an image file; nobody else may have it open. OSError, or what `change` raises."""
    with image.open("r+b") as file:
        file.seek(place.offset)
        before = file.read(place.size)
        if len(before) < place.size:
            raise ValueError(
                f"{place} is not within {image.name}, which has {os.fstat(file.fileno()).st_size:#x} bytes"
            )
        after = change(before)
        if len(after) != place.size:
            raise ValueError(f"{place}: {len(after):#x} bytes would take the place of {place.size:#x}")
        file.seek(place.offset)
        file.write(after)
    return Change(place.offset, before, after)


def partition_place(table: Sequence[Partition], name: str) -> Place:
    """A partition by its label; `nvs` also finds the partition of that type. ValueError lists what is there."""
    for partition in table:
        if partition.label == name or (name == "nvs" and partition.is_nvs):
            return Place(partition.label, partition.offset, partition.size)
    raise ValueError(f"no partition {name!r} in the flash: {', '.join(partition.label for partition in table)}")


def read_table(image: Path) -> tuple[Partition, ...]:
    """The partition table of an image. PartitionError when it has none that firmware could use."""
    with image.open("rb") as file:
        file.seek(TABLE_OFFSET)
        table = file.read(TABLE_BYTES)
    if len(table) < TABLE_BYTES:
        raise PartitionError([f"{image.name} ends before {TABLE_OFFSET + TABLE_BYTES:#x}"])
    return parse_table(table)


def _able(content: bytes, way: Rot) -> bytearray:
    """The bits that can change this way, as ones."""
    if way is Rot.BOTH:
        return bytearray(b"\xff" * len(content))
    return bytearray(byte if way is Rot.DISTURB else byte ^ 0xFF for byte in content)


def _check_room(content: bytes, data: bytes, at: int) -> None:
    if at < 0 or at + len(data) > len(content):
        raise ValueError(f"{len(data)} bytes at {at:#x} do not fit into {len(content):#x}")
