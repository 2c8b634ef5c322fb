"""The pcapng format: every type of block as a value, and as bytes in either byte order.

Format: PCAP Next Generation Capture File Format (draft-ietf-opsawg-pcapng). Blocks of types that the format does not
name are kept as they are, custom and local ones among them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

SECTION: Final = 0x0A0D0D0A
INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, NAMES, STATISTICS, ENHANCED_PACKET, JOURNAL, SECRETS = (
    1,
    2,
    3,
    4,
    5,
    6,
    9,
    10,
)
CUSTOM_COPIED, CUSTOM_UNCOPIED = 0x00000BAD, 0x40000BAD
MAX_BLOCK = 1 << 24
"""As Wireshark has it: a larger block is a damaged file."""
BYTE_ORDER_MAGIC = 0x1A2B3C4D
OPT_END, OPT_COMMENT, IF_NAME, IF_TSRESOL, IF_TSOFFSET, EPB_FLAGS = 0, 1, 2, 9, 14, 2
_LOW = 0xFFFFFFFF
ByteOrder = Literal["<", ">"]


class PcapngError(ValueError):
    """Bytes that are no pcapng, or a damaged one."""


class Option(NamedTuple):
    """One option of a block; numbers in `value` are in the byte order of the section."""

    code: int
    value: bytes


Options = tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Section Header Block: interfaces are numbered from 0 again, and the byte order may be another one."""

    byte_order: ByteOrder = "<"
    major: int = 1
    minor: int = 0
    length: int = -1
    """Bytes of the section after this block; -1: not known."""
    options: Options = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """Interface Description Block."""

    link_type: int
    snap_length: int = 0
    """Bytes kept of a packet at most; 0: all."""
    options: Options = ()
    byte_order: ByteOrder = "<"
    """In which its options' numbers are."""

    @property
    def name(self) -> str:
        return (first(self.options, IF_NAME) or b"").decode("utf-8", "replace")

    @property
    def ticks_per_s(self) -> int:
        """What if_tsresol says: a power of ten or, with the highest bit, of two; without it, microseconds."""
        exponent = (first(self.options, IF_TSRESOL) or b"\x06")[0]
        return 1 << (exponent & 0x7F) if exponent & 0x80 else 10**exponent

    @property
    def offset_s(self) -> int:
        """What if_tsoffset adds to every time, in seconds."""
        value = first(self.options, IF_TSOFFSET)
        return 0 if value is None or len(value) != 8 else int(struct.unpack(self.byte_order + "q", value)[0])


class EnhancedPacket(NamedTuple):
    """Enhanced Packet Block."""

    interface: int
    ticks: int
    """In units of its interface."""
    data: bytes
    original_length: int
    options: Options = ()


class SimplePacket(NamedTuple):
    """Simple Packet Block: on interface 0, without a time."""

    data: bytes
    original_length: int


class ObsoletePacket(NamedTuple):
    """Packet Block, which Enhanced Packet Blocks have replaced."""

    interface: int
    drops: int
    """Packets lost since the one before; 0xFFFF: not known."""
    ticks: int
    data: bytes
    original_length: int
    options: Options = ()


class NameRecord(NamedTuple):
    """One record of a Name Resolution Block: 1 is IPv4 and 2 IPv6, with names behind the address, each ended by 0."""

    kind: int
    value: bytes


@dataclass(frozen=True, slots=True)
class NameResolution:
    """Name Resolution Block."""

    records: tuple[NameRecord, ...] = ()
    options: Options = ()


@dataclass(frozen=True, slots=True)
class InterfaceStatistics:
    """Interface Statistics Block."""

    interface: int
    ticks: int
    options: Options = ()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Decryption Secrets Block: the keys of what was captured."""

    kind: int
    data: bytes
    options: Options = ()


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """systemd Journal Export Block; `data` without the padding, which cannot be told from NULs at its end."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Custom:
    """Custom Block. Where its data end and its options begin, only the enterprise knows."""

    enterprise: int
    body: bytes
    """A multiple of four bytes."""
    copied: bool = True
    """Whether programs that do not know it may copy it into other files."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A block of another type."""

    kind: int
    body: bytes
    """A multiple of four bytes."""


PacketBlock = EnhancedPacket | SimplePacket | ObsoletePacket
Block = (
    Section | Interface | PacketBlock | NameResolution | InterfaceStatistics | Secrets | JournalEntry | Custom | Unknown
)


def first(options: Options, code: int) -> bytes | None:
    """The value of the first option of this code."""
    for option in options:
        if option.code == code:
            return option.value
    return None


class Layout:
    """The structs of one byte order."""

    __slots__ = (
        "head",
        "interface",
        "obsolete",
        "order",
        "packet",
        "packet_block",
        "pair",
        "section",
        "statistics",
        "u32",
    )

    def __init__(self, order: ByteOrder) -> None:
        self.order: ByteOrder = order
        self.u32 = struct.Struct(order + "I")
        self.pair = struct.Struct(order + "HH")
        self.head = struct.Struct(order + "II")
        self.section = struct.Struct(order + "IHHq")
        self.interface = struct.Struct(order + "HHI")
        self.packet = struct.Struct(order + "IIIII")
        self.packet_block = struct.Struct(order + "IIIIIII")
        """Head and body of an Enhanced Packet Block, together."""
        self.obsolete = struct.Struct(order + "HHIIII")
        self.statistics = struct.Struct(order + "III")


LAYOUTS: dict[ByteOrder, Layout] = {"<": Layout("<"), ">": Layout(">")}


def encode(block: Block, order: ByteOrder = "<") -> bytes:
    """The bytes of a block. A section header has the byte order that it says; ValueError for what no block can hold."""
    layout = LAYOUTS[block.byte_order if isinstance(block, Section) else order]
    try:
        kind, body = _encoded(block, layout)
    except struct.error as error:
        raise ValueError(f"{type(block).__name__}: {error}") from error
    size = 12 + len(body)
    if size & 3 or size > MAX_BLOCK:
        raise ValueError(f"{type(block).__name__} of {size} bytes")
    return layout.head.pack(kind, size) + body + layout.u32.pack(size)


def encode_options(options: Options, order: ByteOrder = "<") -> bytes:
    """Options and their end; nothing when there are none."""
    if not options:
        return b""
    pack = LAYOUTS[order].pair.pack
    return b"".join(pack(code, len(value)) + padded(value) for code, value in (*options, (OPT_END, b"")))


def padded(data: bytes) -> bytes:
    """To a multiple of four bytes."""
    return data + bytes(-len(data) & 3)


def _encoded(block: Block, layout: Layout) -> tuple[int, bytes]:
    match block:
        case Section():
            fixed = layout.section.pack(BYTE_ORDER_MAGIC, block.major, block.minor, block.length)
            return SECTION, fixed + encode_options(block.options, layout.order)
        case Interface():
            fixed = layout.interface.pack(block.link_type, 0, block.snap_length)
            return INTERFACE, fixed + encode_options(block.options, layout.order)
        case EnhancedPacket() | SimplePacket() | ObsoletePacket():
            return _encoded_packet(block, layout)
        case InterfaceStatistics():
            fixed = layout.statistics.pack(block.interface, block.ticks >> 32, block.ticks & _LOW)
            return STATISTICS, fixed + encode_options(block.options, layout.order)
        case NameResolution():
            records = (*block.records, NameRecord(0, b""))
            packed = b"".join(layout.pair.pack(kind, len(value)) + padded(value) for kind, value in records)
            return NAMES, packed + encode_options(block.options, layout.order)
        case Secrets():
            fixed = layout.head.pack(block.kind, len(block.data))
            return SECRETS, fixed + padded(block.data) + encode_options(block.options, layout.order)
        case JournalEntry():
            return JOURNAL, padded(block.data)
        case Custom():
            return CUSTOM_COPIED if block.copied else CUSTOM_UNCOPIED, layout.u32.pack(block.enterprise) + block.body
        case Unknown():
            return block.kind, block.body


def _encoded_packet(block: PacketBlock, layout: Layout) -> tuple[int, bytes]:
    if isinstance(block, SimplePacket):
        return SIMPLE_PACKET, layout.u32.pack(block.original_length) + padded(block.data)
    time = block.ticks >> 32, block.ticks & _LOW
    size = len(block.data)
    tail = padded(block.data) + encode_options(block.options, layout.order)
    if isinstance(block, EnhancedPacket):
        return ENHANCED_PACKET, layout.packet.pack(block.interface, *time, size, block.original_length) + tail
    fixed = layout.obsolete.pack(block.interface, block.drops, *time, size, block.original_length)
    return OBSOLETE_PACKET, fixed + tail
