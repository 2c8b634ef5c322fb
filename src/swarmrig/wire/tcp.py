"""TCP segments (RFC 9293), with the one option that matters to everybody: the maximum segment size."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.ipv4 import Protocol, checksum, ip_to_bytes
from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 20
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

_LAYOUT = struct.Struct(">HHIIBBHHH")
_END, _NOTHING, _MSS = 0, 1, 2
"""Kinds of options."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """A segment; `flags` are those of the header's fourteenth byte."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""
    mss: int | None = None
    """From the option, which only segments with SYN have."""

    @property
    def length(self) -> int:
        """What it takes of the sequence."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @classmethod
    def parse(cls, segment: bytes, src: str, dst: str) -> Tcp:
        """`src` and `dst` are the packet's addresses, for the checksum."""
        if len(segment) < HEADER_BYTES:
            raise MalformedError(Malformed.TCP_SHORT, f"{len(segment)} bytes")
        sport, dport, seq, ack, offset, flags, window, _, _ = _LAYOUT.unpack_from(segment)
        header = (offset >> 4) * 4
        if not HEADER_BYTES <= header <= len(segment):
            raise MalformedError(Malformed.TCP_OFFSET, f"{header} of {len(segment)} bytes")
        if checksum(_pseudo_header(src, dst, len(segment)) + segment):
            raise MalformedError(Malformed.TCP_CHECKSUM)
        mss = _mss_of(segment[HEADER_BYTES:header])
        return cls(sport, dport, seq, ack, flags, window, bytes(segment[header:]), mss)

    def pack(self, src: str, dst: str) -> bytes:
        options = b"" if self.mss is None else struct.pack(">BBH", _MSS, 4, self.mss)
        words = (HEADER_BYTES + len(options)) // 4
        head = _LAYOUT.pack(
            self.sport, self.dport, self.seq, self.ack, words << 4, self.flags, self.window, 0, 0
        )  # fmt: skip
        segment = head + options + self.payload
        total = checksum(_pseudo_header(src, dst, len(segment)) + segment)
        return segment[:16] + struct.pack(">H", total) + segment[18:]


def _mss_of(options: bytes) -> int | None:
    at = 0
    while at < len(options) and options[at] != _END:
        if options[at] == _NOTHING:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            return None
        if options[at] == _MSS and size == 4:
            return options[at + 2] << 8 | options[at + 3]
        at += size
    return None


def _pseudo_header(src: str, dst: str, length: int) -> bytes:
    return ip_to_bytes(src) + ip_to_bytes(dst) + struct.pack(">HH", Protocol.TCP, length)
