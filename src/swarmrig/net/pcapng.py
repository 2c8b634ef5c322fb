"""Captures in the pcapng format, by hand: what libraries cost is several times the price of switching the frame.

Format: PCAP Next Generation Capture File Format (draft-ietf-opsawg-pcapng): one section, little endian, an interface
per end of the link with its name and nanosecond resolution, one Enhanced Packet Block per frame with its direction
and, unless the frame was plainly delivered, a comment. The reader reads what the writer writes, also while it grows,
and what other programs capture on Ethernet on a little-endian machine, in whatever resolution.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from swarmrig.model.network import Fate
from swarmrig.net.growing import GrowingFile
from swarmrig.net.link import Record

OUTBOUND, INBOUND = 2, 1
"""Direction bits of epb_flags, seen from the interface that the block names."""
MAX_BLOCK = 1 << 24
"""No block of ours comes near; a larger one is a damaged file."""

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_SNAP_LENGTH = 262_144
_OPT_END, _OPT_COMMENT, _IF_NAME, _EPB_FLAGS, _IF_TSRESOL = 0, 1, 2, 2, 9
_NANOSECONDS = 9
_NS_PER_S = 10**9
_BLOCK_HEAD = struct.Struct("<II")
_SECTION_BODY = struct.Struct("<IHHq")
_INTERFACE_BODY = struct.Struct("<HHI")
_PACKET_HEAD = struct.Struct("<IIIIIII")
_PACKET_BODY = struct.Struct("<IIIII")
_OPTION_HEAD = struct.Struct("<HH")
_U32 = struct.Struct("<I")
_LOW = 0xFFFFFFFF


class PcapngError(ValueError):
    """A capture that this program cannot have written, or a damaged one."""


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
        self._file.write(_section_block() + b"".join(_interface_block(name) for name in interfaces))
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
            add(pack(_PACKET, length, interface, t_ns >> 32, t_ns & _LOW, size, size, frame, tail))
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


class PcapngReader:
    """Incremental: feed bytes as the file grows, get the packets that are complete."""

    def __init__(self) -> None:
        self.interfaces: list[str] = []
        self._ticks: list[int | None] = []
        """Of each interface, time stamps in a second; None: they are nanoseconds."""
        self._rest = b""
        self._count = 0
        self._started = False

    def feed(self, data: bytes) -> list[Packet]:
        """Packets completed by `data`; PcapngError when it is not such a capture."""
        data = self._rest + data if self._rest else data
        found: list[Packet] = []
        at, end = 0, len(data)
        while end - at >= 8:
            kind, size = _BLOCK_HEAD.unpack_from(data, at)
            if size < 12 or size % 4 or size > MAX_BLOCK:
                raise PcapngError(f"block of {size} bytes")
            if end - at < size:
                break
            if _U32.unpack_from(data, at + size - 4)[0] != size:
                raise PcapngError("a block's two lengths differ")
            self._block(kind, data[at + 8 : at + size - 4], found)
            at += size
        self._rest = data[at:]
        return found

    def _block(self, kind: int, body: bytes, found: list[Packet]) -> None:
        try:
            if kind == _SECTION:
                self._section(body)
            elif not self._started:
                raise PcapngError("no section header")
            elif kind == _INTERFACE:
                self._interface(body)
            elif kind == _PACKET:
                found.append(self._packet(body))
        except struct.error as error:
            raise PcapngError(f"block of type {kind} is too short: {error}") from error

    def _section(self, body: bytes) -> None:
        order, major, _, _ = _SECTION_BODY.unpack_from(body)
        if self._started or order != _BYTE_ORDER or major != 1:
            raise PcapngError("expected one little-endian section, version 1")
        self._started = True

    def _interface(self, body: bytes) -> None:
        link_type, _, _ = _INTERFACE_BODY.unpack_from(body)
        options = _options(body[_INTERFACE_BODY.size :])
        if link_type != _ETHERNET:
            raise PcapngError(f"expected Ethernet interfaces, not those of link type {link_type}")
        self._ticks.append(_ticks_per_s(options.get(_IF_TSRESOL, b"")))
        self.interfaces.append(options.get(_IF_NAME, b"").decode("utf-8", "replace"))

    def _packet(self, body: bytes) -> Packet:
        interface, high, low, captured, _ = _PACKET_BODY.unpack_from(body)
        end = _PACKET_BODY.size + captured
        if end > len(body) or interface >= len(self.interfaces):
            raise PcapngError(f"packet of {captured} bytes on interface {interface}")
        options = _options(body[end + (-captured & 3) :])
        comment = options.get(_OPT_COMMENT)
        t_ns = high << 32 | low
        if (ticks := self._ticks[interface]) is not None:
            t_ns = t_ns * _NS_PER_S // ticks
        (flags,) = _U32.unpack_from(options.get(_EPB_FLAGS, bytes(4)))
        self._count += 1
        return Packet(
            self._count, t_ns, interface, body[_PACKET_BODY.size : end],
            None if comment is None else comment.decode("utf-8", "replace"), flags & 3 == INBOUND,
        )  # fmt: skip


def _ticks_per_s(option: bytes) -> int | None:
    """What if_tsresol says: a power of ten or, with the highest bit, of two; without it, microseconds."""
    exponent = option[0] if option else 6
    if exponent == _NANOSECONDS:
        return None
    return 1 << (exponent & 0x7F) if exponent & 0x80 else 10**exponent


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, size = _OPTION_HEAD.unpack_from(data, at)
        if code == _OPT_END:
            break
        if at + 4 + size > len(data):
            raise PcapngError(f"option {code} of {size} bytes reaches over its block")
        found[code] = data[at + 4 : at + 4 + size]
        at += 4 + size + (-size & 3)
    return found


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return _BLOCK_HEAD.pack(kind, size) + body + _U32.pack(size)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION_HEAD.pack(code, len(value)) + value + bytes(-len(value) & 3)


_END_OF_OPTIONS = _OPTION_HEAD.pack(_OPT_END, 0)


def _section_block() -> bytes:
    return _block(_SECTION, _SECTION_BODY.pack(_BYTE_ORDER, 1, 0, -1))


def _interface_block(name: str) -> bytes:
    options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, bytes((_NANOSECONDS,))) + _END_OF_OPTIONS
    return _block(_INTERFACE, _INTERFACE_BODY.pack(_ETHERNET, 0, _SNAP_LENGTH) + options)


def _direction(outbound: bool) -> bytes:
    return _option(_EPB_FLAGS, _U32.pack(OUTBOUND if outbound else INBOUND))


class _Forms(dict[int, tuple[Callable[..., bytes], int, bytes]]):
    """By size of the frame, how to make a block without comment: (pack, its length, what follows the frame)."""

    def __missing__(self, size: int) -> tuple[Callable[..., bytes], int, bytes]:
        padding = -size & 3
        options = _direction(outbound=True) + _END_OF_OPTIONS
        length = _PACKET_HEAD.size + size + padding + len(options) + 4
        tail = bytes(padding) + options + _U32.pack(length)
        form = struct.Struct(f"{_PACKET_HEAD.format}{size}s{len(tail)}s").pack, length, tail
        self[size] = form
        return form


def _commented_block(t_ns: int, interface: int, frame: bytes, comment: str) -> bytes:
    size = len(frame)
    body = _PACKET_BODY.pack(interface, t_ns >> 32, t_ns & _LOW, size, size) + frame + bytes(-size & 3)
    options = _direction(outbound=comment != Fate.OVERRUN.value) + _option(_OPT_COMMENT, comment.encode())
    return _block(_PACKET, body + options + _END_OF_OPTIONS)
