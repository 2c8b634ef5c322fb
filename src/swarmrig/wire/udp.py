"""UDP datagrams (RFC 768)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.ipv4 import Protocol, checksum, ip_to_bytes
from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 8

_LAYOUT = struct.Struct(">HHHH")


@dataclass(frozen=True, slots=True)
class Udp:
    sport: int
    dport: int
    payload: bytes

    @property
    def length(self) -> int:
        return HEADER_BYTES + len(self.payload)

    @classmethod
    def parse(cls, segment: bytes, src: str, dst: str) -> Udp:
        """`src` and `dst` are the packet's addresses, for the checksum; a checksum of 0 means none was sent."""
        sport, dport, length, total = _parse_header(segment)
        if not HEADER_BYTES <= length <= len(segment):
            raise MalformedError(Malformed.UDP_LENGTH, f"{length} of {len(segment)} bytes")
        segment = segment[:length]
        if total and checksum(_pseudo_header(src, dst, length) + segment):
            raise MalformedError(Malformed.UDP_CHECKSUM)
        return cls(sport, dport, bytes(segment[HEADER_BYTES:]))

    def pack(self, src: str, dst: str) -> bytes:
        head = _LAYOUT.pack(self.sport, self.dport, self.length, 0)
        total = checksum(_pseudo_header(src, dst, self.length) + head + self.payload) or 0xFFFF
        return head[:6] + struct.pack(">H", total) + self.payload


def ports(segment: bytes) -> tuple[int, int]:
    """(source, destination) of the header alone, whatever follows it."""
    sport, dport, _, _ = _parse_header(segment)
    return sport, dport


def _parse_header(segment: bytes) -> tuple[int, int, int, int]:
    if len(segment) < HEADER_BYTES:
        raise MalformedError(Malformed.UDP_SHORT, f"{len(segment)} bytes")
    sport, dport, length, total = _LAYOUT.unpack_from(segment)
    return sport, dport, length, total


def _pseudo_header(src: str, dst: str, length: int) -> bytes:
    return ip_to_bytes(src) + ip_to_bytes(dst) + struct.pack(">HH", Protocol.UDP, length)
