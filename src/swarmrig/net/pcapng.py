"""Captures of the rig's own links, by hand: what libraries cost is several times the price of switching the frame.

Written are one section, little endian, an interface per end of the link with its name and nanosecond resolution, one
Enhanced Packet Block per frame with its direction and, unless the frame was plainly delivered, a comment. The reader
reads what the writer writes, also while it grows, and what other programs capture on Ethernet. The format itself is in
`pcapng_blocks` and `pcapng_reader`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from swarmrig.model.network import Fate
from swarmrig.model.units import NS_PER_S
from swarmrig.net.growing import GrowingFile
from swarmrig.net.link import Record
from swarmrig.net.pcapng_blocks import (
    ENHANCED_PACKET,
    EPB_FLAGS,
    IF_NAME,
    IF_TSRESOL,
    LAYOUTS,
    OPT_COMMENT,
    ByteOrder,
    Custom,
    EnhancedPacket,
    Interface,
    JournalEntry,
    ObsoletePacket,
    Option,
    Options,
    PcapngError,
    Section,
    SimplePacket,
    encode,
    encode_options,
    first,
    padded,
)
from swarmrig.net.pcapng_reader import BlockReader

__all__ = ["INBOUND", "OUTBOUND", "CaptureWriter", "Packet", "PcapngError", "PcapngReader"]

OUTBOUND, INBOUND = 2, 1
"""Direction bits of epb_flags, seen from the interface that the block names."""

_ETHERNET = 1
_SNAP_LENGTH = 262_144
_TIMED = EnhancedPacket, ObsoletePacket
_RECORDS = JournalEntry, Custom
"""No packets, but tshark counts them, too."""
_NANOSECONDS = 9
_PACKET_HEAD = struct.Struct("<IIIIIII")
_U32 = struct.Struct("<I")
_LOW = 0xFFFFFFFF


class CaptureWriter:
    """The growing capture of one link. `record` costs an append; `flush` formats and writes.

    A write that fails (disk full) ends this capture, as of any GrowingFile: `failure` says why.
    """

    def __init__(self, path: Path, interfaces: Sequence[str]) -> None:
        """Creates the file with its header; OSError when that fails."""
        self._file = GrowingFile(path)
        self._pending: list[Record] = []
        self.record = self._pending.append
        self._forms = _Forms()
        self._file.write(encode(Section()) + b"".join(_interface_block(name) for name in interfaces))
        if self.failure is not None:
            self.close()
            raise OSError(self.failure)

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def failure(self) -> str | None:
        return self._file.failure

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self.close()

    def flush(self) -> None:
        """Write all entries so far; never raises."""
        if not self._pending:
            return
        blocks: list[bytes] = []
        add, forms = blocks.append, self._forms
        for t_ns, interface, frame, comment in self._pending:
            if comment is not None:
                add(_commented_block(t_ns, interface, frame, comment))
                continue
            size = len(frame)
            pack, length, tail = forms[size]
            add(pack(ENHANCED_PACKET, length, interface, t_ns >> 32, t_ns & _LOW, size, size, frame, tail))
        self._pending.clear()
        self._file.write(b"".join(blocks))

    def go_on_in(self, directory: Path) -> None:
        """Grow on in a copy, of the same name; the file so far stays as it is. OSError when that fails."""
        self.flush()
        self._file.go_on_in(directory / self.path.name)

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Packet:
    """One Enhanced Packet Block."""

    number: int
    """1-based, as tshark counts."""
    t_ns: int
    interface: int
    data: bytes
    comment: str | None
    inbound: bool
    cut: bool = False
    """Only its beginning was kept."""


class PcapngReader:
    """The frames of Ethernet captures. Incremental: feed bytes as the file grows, get the packets that are complete."""

    def __init__(self) -> None:
        self.interfaces: list[str] = []
        """Names, of all sections one after the other; packets name them by their place here."""
        self._blocks = BlockReader()
        self._clocks: list[tuple[int, int]] = []
        """Of each interface, time stamps in a second and what is added to them (ns)."""
        self._before = 0
        """Interfaces of earlier sections."""
        self._order: ByteOrder = "<"
        self._count = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Packets completed by `data`; PcapngError when it is no such capture."""
        found: list[Packet] = []
        for block in self._blocks.feed(data):
            if isinstance(block, _TIMED):
                found.append(self._packet(block, block.options))
            elif isinstance(block, SimplePacket):
                found.append(self._packet(EnhancedPacket(0, 0, *block), ()))
            elif isinstance(block, Interface):
                self._interface(block)
            elif isinstance(block, Section):
                self._before, self._order = len(self.interfaces), block.byte_order
            elif isinstance(block, _RECORDS):
                self._count += 1
        return found

    def _interface(self, block: Interface) -> None:
        if block.link_type != _ETHERNET:
            raise PcapngError(f"expected Ethernet interfaces, not those of link type {block.link_type}")
        self._clocks.append((block.ticks_per_s, block.offset_s * NS_PER_S))
        self.interfaces.append(block.name)

    def _packet(self, block: EnhancedPacket | ObsoletePacket, options: Options) -> Packet:
        interface = self._before + block.interface
        ticks_per_s, offset_ns = self._clocks[interface]
        t_ns = block.ticks if ticks_per_s == NS_PER_S else block.ticks * NS_PER_S // ticks_per_s
        comment, inbound = _said(options, self._order)
        self._count += 1
        cut = block.original_length > len(block.data)
        return Packet(self._count, t_ns + offset_ns, interface, block.data, comment, inbound, cut)


@lru_cache(maxsize=4096)
def _said(options: Options, order: ByteOrder) -> tuple[str | None, bool]:
    """A packet's comment, and whether it came in."""
    comment, flags = first(options, OPT_COMMENT), first(options, EPB_FLAGS)
    direction = 0 if flags is None or len(flags) != 4 else LAYOUTS[order].u32.unpack(flags)[0] & 3
    return None if comment is None else comment.decode("utf-8", "replace"), direction == INBOUND


def _interface_block(name: str) -> bytes:
    options = Option(IF_NAME, name.encode()), Option(IF_TSRESOL, bytes((_NANOSECONDS,)))
    return encode(Interface(_ETHERNET, _SNAP_LENGTH, options))


def _flags(direction: int) -> Option:
    return Option(EPB_FLAGS, _U32.pack(direction))


_SENT = encode_options((_flags(OUTBOUND),))


class _Forms(dict[int, tuple[Callable[..., bytes], int, bytes]]):
    """By size of the frame, how to make a block without comment: (pack, its length, what follows the frame)."""

    def __missing__(self, size: int) -> tuple[Callable[..., bytes], int, bytes]:
        padding = -size & 3
        length = _PACKET_HEAD.size + size + padding + len(_SENT) + 4
        tail = bytes(padding) + _SENT + _U32.pack(length)
        form = struct.Struct(f"{_PACKET_HEAD.format}{size}s{len(tail)}s").pack, length, tail
        self[size] = form
        return form


def _commented_block(t_ns: int, interface: int, frame: bytes, comment: str) -> bytes:
    size, after = len(frame), _commented(comment)
    length = _PACKET_HEAD.size + size + (-size & 3) + len(after) + 4
    head = _PACKET_HEAD.pack(ENHANCED_PACKET, length, interface, t_ns >> 32, t_ns & _LOW, size, size)
    return head + padded(frame) + after + _U32.pack(length)


@lru_cache(maxsize=1024)
def _commented(comment: str) -> bytes:
    """The options of a frame that this is said of."""
    direction = INBOUND if comment == Fate.OVERRUN.value else OUTBOUND
    return encode_options((_flags(direction), Option(OPT_COMMENT, comment.encode())))
