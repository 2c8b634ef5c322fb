"""ESP-IDF partition tables: build, parse, check (programming guide, "Partition Tables").

Entries of 32 bytes: magic AA 50, type, subtype, u32 offset, u32 size, 16-byte label, u32 flags, little endian; then an
entry EB EB with the MD5 of those before it; 0xFF fills the rest of 0xC00 bytes.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
MAX_PARTITIONS = TABLE_BYTES // 32 - 1

TYPE_APP = 0
TYPE_DATA = 1
SUBTYPE_FACTORY = 0x00
SUBTYPE_OTADATA = 0x00
SUBTYPE_PHY = 0x01
SUBTYPE_NVS = 0x02

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_SECTOR = 0x1000
_APP_ALIGNMENT = 0x10000


class PartitionError(ValueError):
    """A partition table that firmware would refuse or misread; carries every problem found."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Partition:
    label: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def is_nvs(self) -> bool:
        return self.type == TYPE_DATA and self.subtype == SUBTYPE_NVS


STANDARD_TABLE: tuple[Partition, ...] = (
    Partition("nvs", TYPE_DATA, SUBTYPE_NVS, 0x9000, 0x6000),
    Partition("otadata", TYPE_DATA, SUBTYPE_OTADATA, 0xF000, 0x2000),
    Partition("phy_init", TYPE_DATA, SUBTYPE_PHY, 0x11000, 0x1000),
    Partition("factory", TYPE_APP, SUBTYPE_FACTORY, 0x20000, 0x100000),
)
"""The layout of images that are made here from nothing: NVS where the rig provisions it, one app slot."""


def build_table(partitions: Sequence[Partition]) -> bytes:
    """The table's 0xC00 bytes with MD5; PartitionError when firmware could not use it."""
    problems = check_partitions(partitions)
    if problems:
        raise PartitionError(problems)
    body = b"".join(
        _ENTRY.pack(_MAGIC, p.type, p.subtype, p.offset, p.size, p.label.encode(), p.flags) for p in partitions
    )
    # hashlib.md5 guards against accidents here, not attackers.
    body += _MD5_MAGIC + hashlib.md5(body, usedforsecurity=False).digest()
    return body.ljust(TABLE_BYTES, b"\xff")


def parse_table(table: bytes) -> tuple[Partition, ...]:
    """The partitions of a table (what follows its end is ignored). PartitionError for anything else.

    A table without MD5 entry is accepted, as the ESP-IDF option allows it; a wrong MD5 is not.
    """
    partitions: list[Partition] = []
    for offset in range(0, min(len(table), TABLE_BYTES) - 31, 32):
        entry = bytes(table[offset : offset + 32])
        if entry == b"\xff" * 32:
            return _checked(partitions)
        if entry.startswith(_MD5_MAGIC):
            if hashlib.md5(table[:offset], usedforsecurity=False).digest() != entry[16:]:
                raise PartitionError(["the MD5 of the partition table is wrong"])
            return _checked(partitions)
        magic, kind, subtype, start, size, label, flags = _ENTRY.unpack(entry)
        if magic != _MAGIC:
            raise PartitionError([f"entry {offset // 32} of the partition table has the magic {magic.hex()}"])
        name = label.split(b"\0")[0].decode("utf-8", "backslashreplace")
        partitions.append(Partition(name, kind, subtype, start, size, flags))
    raise PartitionError(["the partition table has no end"])


def check_partitions(partitions: Sequence[Partition]) -> list[str]:
    """What is wrong with a layout: labels, alignment, overlap, overlap with the table itself."""
    problems: list[str] = []
    if len(partitions) > MAX_PARTITIONS:
        problems.append(f"{len(partitions)} partitions, at most {MAX_PARTITIONS} fit")
    for partition in partitions:
        problems.extend(_problems_of(partition))
    ordered = sorted(partitions, key=lambda partition: partition.offset)
    for one, other in itertools.pairwise(ordered):
        if other.offset < one.end:
            problems.append(f"partitions {one.label!r} and {other.label!r} overlap at {other.offset:#x}")
    labels = [partition.label for partition in partitions]
    problems.extend(
        f"two partitions are named {label!r}" for label in sorted({x for x in labels if labels.count(x) > 1})
    )
    return problems


def _problems_of(partition: Partition) -> list[str]:
    problems: list[str] = []
    name = f"partition {partition.label!r}"
    if not partition.label or len(partition.label.encode()) > 16:
        problems.append(f"{name}: a label has 1 to 16 bytes")
    if not (0 <= partition.type <= 0xFE and 0 <= partition.subtype <= 0xFF):
        problems.append(f"{name}: type and subtype are bytes, not {partition.type:#x}, {partition.subtype:#x}")
    if not 0 < partition.size <= 0xFFFFFFFF - partition.offset:
        problems.append(f"{name}: the size {partition.size:#x} is not possible at {partition.offset:#x}")
    alignment = _APP_ALIGNMENT if partition.type == TYPE_APP else _SECTOR
    if partition.offset % alignment or partition.size % _SECTOR:
        problems.append(f"{name}: {partition.offset:#x} is not a multiple of {alignment:#x} (size: of {_SECTOR:#x})")
    if partition.offset < TABLE_OFFSET + _SECTOR:
        problems.append(f"{name} at {partition.offset:#x} overlaps the bootloader or the partition table")
    return problems


def _checked(partitions: list[Partition]) -> tuple[Partition, ...]:
    if not partitions:
        raise PartitionError(["the partition table is empty"])
    return tuple(partitions)
