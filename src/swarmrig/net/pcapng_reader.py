"""Captures in the pcapng format, read as they come: blocks of all types, several sections, either byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from swarmrig.net.pcapng_blocks import (
    BYTE_ORDER_MAGIC,
    CUSTOM_COPIED,
    CUSTOM_UNCOPIED,
    ENHANCED_PACKET,
    IF_TSRESOL,
    INTERFACE,
    JOURNAL,
    LAYOUTS,
    MAX_BLOCK,
    NAMES,
    OBSOLETE_PACKET,
    OPT_END,
    SECRETS,
    SECTION,
    SIMPLE_PACKET,
    STATISTICS,
    Block,
    ByteOrder,
    Custom,
    EnhancedPacket,
    Interface,
    InterfaceStatistics,
    JournalEntry,
    Layout,
    NameRecord,
    NameResolution,
    ObsoletePacket,
    Option,
    Options,
    PcapngError,
    Secrets,
    Section,
    SimplePacket,
    Unknown,
    first,
)

_CLASSIC = {bytes.fromhex(magic) for magic in ("a1b2c3d4", "a1b23c4d", "a1b2cd34")}
_CLASSIC_MAGICS = _CLASSIC | {magic[::-1] for magic in _CLASSIC}
_SHORTEST = 12
_CHUNK = 1 << 20


def read_blocks(path: Path, reader: BlockReader | None = None) -> Iterator[Block]:
    """The blocks of a file, a little at a time, by this reader if it is given. OSError; PcapngError with its name, also
    when it is cut short."""
    reader = reader or BlockReader()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield from reader.feed(chunk)
        reader.finish()
    except PcapngError as error:
        raise PcapngError(f"{path}: {error}") from error


class BlockReader:
    """Incremental: feed bytes as they come, get the blocks that are complete.

    One that has no use for blocks as values overrides `take` and `take_packets`, and need not make any.
    """

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        """Of the section that is being read."""
        self._order: ByteOrder | None = None
        self._rest = b""

    def feed(self, data: bytes) -> list[Block]:
        """Blocks completed by `data`; PcapngError when it is no pcapng, or a damaged one."""
        data = self._rest + data if self._rest else data
        found: list[Block] = []
        at, end = 0, len(data)
        if self._order is None and end >= _SHORTEST:
            self._order = _byte_order(data, 0)
        layout = LAYOUTS[self._order or "<"]
        while end - (at := self.take_packets(layout, data, at, found)) >= _SHORTEST:
            kind, size = layout.head.unpack_from(data, at)
            if kind == SECTION:
                self._order = _byte_order(data, at)
                layout = LAYOUTS[self._order]
                _, size = layout.head.unpack_from(data, at)
            if size < _SHORTEST or size & 3 or size > MAX_BLOCK:
                raise PcapngError(f"block of {size} bytes")
            if end - at < size:
                break
            after = at + size
            if layout.u32.unpack_from(data, after - 4)[0] != size:
                raise PcapngError("a block's two lengths differ")
            if kind == ENHANCED_PACKET:
                self.take(self._packet(layout, data, at + 8, after - 4), found)
            else:
                self.take(self._other(layout, kind, data[at + 8 : after - 4]), found)
            at = after
        self._rest = data[at:]
        return found

    def finish(self) -> None:
        """Say that all has been fed; PcapngError when a block, or all of it, is missing."""
        if self._order is None:
            raise PcapngError(_no_section(self._rest[:4]) if self._rest else "empty")
        if self._rest:
            raise PcapngError(f"cut short: {len(self._rest)} bytes of a block at its end")

    def take(self, block: Block, found: list[Block]) -> None:
        """A block is complete; what is in `found` is returned by `feed`."""
        found.append(block)

    def take_packets(self, layout: Layout, data: bytes, at: int, found: list[Block]) -> int:
        """The hot path: enhanced packets one after the other, as long as they are whole and sound. Returns where they
        end."""
        unpack, trailer, order = layout.packet_block.unpack_from, layout.u32.unpack_from, layout.order
        interfaces, end, add, new = len(self.interfaces), len(data), found.append, tuple.__new__
        while end - at >= 32:
            kind, size, interface, high, low, captured, original = unpack(data, at)
            begin, after = at + 28, at + size - 4
            options_at = begin + captured + (-captured & 3)
            if kind != ENHANCED_PACKET or interface >= interfaces or options_at > after or after + 4 > end:
                break
            if size & 3 or size > MAX_BLOCK or trailer(data, after)[0] != size:
                break
            options = options_of(data[options_at:after], order) if options_at < after else ()
            packet = interface, high << 32 | low, data[begin : begin + captured], original, options
            add(new(EnhancedPacket, packet))
            at = after + 4
        return at

    def _packet(self, layout: Layout, data: bytes, at: int, end: int) -> EnhancedPacket:
        """What lies between `at` and `end`, or what is wrong with it."""
        if end - at < 20:
            raise PcapngError(f"packet block of {end - at + 12} bytes is too short")
        interface, high, low, captured, original = layout.packet.unpack_from(data, at)
        begin = at + 20
        options_at = begin + captured + (-captured & 3)
        if options_at > end or interface >= len(self.interfaces):
            raise PcapngError(f"packet of {captured} bytes on interface {interface}")
        options = options_of(data[options_at:end], layout.order) if options_at < end else ()
        return EnhancedPacket(interface, high << 32 | low, data[begin : begin + captured], original, options)

    def _other(self, layout: Layout, kind: int, body: bytes) -> Block:
        try:
            if kind == SECTION:
                self.interfaces = []
                return _section(layout, body)
            if kind == INTERFACE:
                self.interfaces.append(_interface(layout, body))
                return self.interfaces[-1]
            if kind == SIMPLE_PACKET:
                return _simple(layout, body, self.interfaces)
            if kind == OBSOLETE_PACKET:
                return _obsolete(layout, body, len(self.interfaces))
            if kind == STATISTICS:
                return _statistics(layout, body, len(self.interfaces))
            return _unbound(layout, kind, body)
        except struct.error as error:
            raise PcapngError(f"block of type {kind} is too short: {error}") from error


def _byte_order(data: bytes, at: int) -> ByteOrder:
    """Of the section whose header begins here."""
    if data[at : at + 4] != b"\n\r\r\n":
        raise PcapngError(_no_section(data[at : at + 4]))
    for order, layout in LAYOUTS.items():
        if layout.u32.unpack_from(data, at + 8)[0] == BYTE_ORDER_MAGIC:
            return order
    raise PcapngError(f"a section header with the byte order magic {data[at + 8 : at + 12].hex()}")


def _no_section(begin: bytes) -> str:
    if begin in _CLASSIC_MAGICS:
        return "this is classic pcap, not pcapng; convert it with: editcap -F pcapng OLD.pcap NEW.pcapng"
    if begin[:2] == b"\x1f\x8b":
        return "this is compressed by gzip; unpack it with: gunzip FILE.gz"
    return f"no section header, but {begin.hex()}"


def _section(layout: Layout, body: bytes) -> Section:
    _, major, minor, length = layout.section.unpack_from(body)
    if major != 1:
        raise PcapngError(f"version {major}.{minor} of the format; only 1 is known")
    return Section(layout.order, major, minor, length, options_of(body[layout.section.size :], layout.order))


def _interface(layout: Layout, body: bytes) -> Interface:
    link_type, _, snap_length = layout.interface.unpack_from(body)
    options = options_of(body[layout.interface.size :], layout.order)
    if first(options, IF_TSRESOL) == b"":
        raise PcapngError("an empty option if_tsresol")
    return Interface(link_type, snap_length, options, layout.order)


def _simple(layout: Layout, body: bytes, interfaces: list[Interface]) -> SimplePacket:
    (original,) = layout.u32.unpack_from(body)
    if not interfaces:
        raise PcapngError("a simple packet in a section without interfaces")
    captured = min(original, interfaces[0].snap_length or original)
    if captured > len(body) - 4:
        raise PcapngError(f"simple packet of {captured} bytes in a block of {len(body) + 12}")
    return SimplePacket(body[4 : 4 + captured], original)


def _obsolete(layout: Layout, body: bytes, interfaces: int) -> ObsoletePacket:
    interface, drops, high, low, captured, original = layout.obsolete.unpack_from(body)
    data = body[layout.obsolete.size :]
    if captured > len(data) or interface >= interfaces:
        raise PcapngError(f"packet of {captured} bytes on interface {interface}")
    options = options_of(data[captured + (-captured & 3) :], layout.order)
    return ObsoletePacket(interface, drops, high << 32 | low, data[:captured], original, options)


def _statistics(layout: Layout, body: bytes, interfaces: int) -> InterfaceStatistics:
    interface, high, low = layout.statistics.unpack_from(body)
    if interface >= interfaces:
        raise PcapngError(f"statistics of interface {interface}")
    return InterfaceStatistics(interface, high << 32 | low, options_of(body[12:], layout.order))


def _unbound(layout: Layout, kind: int, body: bytes) -> Block:
    """Blocks that are about no interface."""
    if kind == NAMES:
        return _names(layout, body)
    if kind == SECRETS:
        what, size = layout.head.unpack_from(body)
        if size > len(body) - 8:
            raise PcapngError(f"secrets of {size} bytes in a block of {len(body) + 12}")
        return Secrets(what, body[8 : 8 + size], options_of(body[8 + size + (-size & 3) :], layout.order))
    if kind == JOURNAL:
        return JournalEntry(body.rstrip(b"\0"))
    if kind in (CUSTOM_COPIED, CUSTOM_UNCOPIED):
        return Custom(layout.u32.unpack_from(body)[0], body[4:], kind == CUSTOM_COPIED)
    return Unknown(kind, body)


def _names(layout: Layout, body: bytes) -> NameResolution:
    records: list[NameRecord] = []
    at = 0
    while True:
        kind, size = layout.pair.unpack_from(body, at)
        at += 4
        if kind == 0:
            return NameResolution(tuple(records), options_of(body[at:], layout.order))
        if at + size > len(body):
            raise PcapngError(f"name record of {size} bytes reaches over its block")
        records.append(NameRecord(kind, body[at : at + size]))
        at += size + (-size & 3)


@lru_cache(maxsize=4096)
def options_of(data: bytes, order: ByteOrder) -> Options:
    """Options as they lie in a block. Most blocks of a capture have the same few, hence the cache."""
    found: list[Option] = []
    head = LAYOUTS[order].pair
    at = 0
    while at + 4 <= len(data):
        code, size = head.unpack_from(data, at)
        if code == OPT_END:
            break
        if at + 4 + size > len(data):
            raise PcapngError(f"option {code} of {size} bytes reaches over its block")
        found.append(Option(code, data[at + 4 : at + 4 + size]))
        at += 4 + size + (-size & 3)
    return tuple(found)
