"""UDP datagrams (RFC 768)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from swarmrig.wire.ethernet import HEADER_BYTES as ETHERNET_BYTES
from swarmrig.wire.ethernet import EtherType
from swarmrig.wire.ipv4 import HEADER_BYTES as IPV4_BYTES
from swarmrig.wire.ipv4 import Protocol, checksum, ip_to_bytes
from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 8

_LAYOUT = struct.Struct(">HHHH")
_PLAIN = struct.Struct(">12xH BxH2xHxBxx4s4s HHHH")
"""Ethernet, IPv4 without options, UDP: what `plain_datagram` looks at."""
_UDP_AT = ETHERNET_BYTES + IPV4_BYTES
_PLAIN_IPV4, _UDP, _VERSION_AND_LENGTH, _FRAGMENT_BITS = int(EtherType.IPV4), int(Protocol.UDP), 0x45, 0x3FFF


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


class PlainDatagram(NamedTuple):
    """Addresses as four bytes."""

    src: bytes
    sport: int
    dst: bytes
    dport: int
    payload: bytes


class DatagramFrame(bytes):
    """A frame whose maker has said what is in it: `datagram`, with addresses as text. Who gets this very object, which
    nothing has changed on the way, need not look at the bytes."""

    datagram: tuple[str, int, str, int, bytes]
    """Source address and port, destination address and port, payload."""


def plain_datagram(frame: bytes) -> PlainDatagram | None:
    """The fast path of whoever receives much: the datagram of a frame without VLAN, IPv4 options or fragments, if all
    its lengths and checksums are right. None says nothing about the frame but that the parsers have to look at it."""
    if len(frame) < _UDP_AT + HEADER_BYTES:
        return None
    kind, first, total, flags, proto, src, dst, sport, dport, length, given = _PLAIN.unpack_from(frame)
    if kind != _PLAIN_IPV4 or first != _VERSION_AND_LENGTH or proto != _UDP or flags & _FRAGMENT_BITS:
        return None
    if not HEADER_BYTES <= length <= total - IPV4_BYTES <= len(frame) - _UDP_AT:
        return None
    if int.from_bytes(frame[ETHERNET_BYTES:_UDP_AT], "big") % 0xFFFF:
        return None
    end = _UDP_AT + length
    if given and not checksum_holds(frame[_UDP_AT:end], src, dst):
        return None
    return PlainDatagram(src, sport, dst, dport, frame[_UDP_AT + HEADER_BYTES : end])


def checksum_holds(segment: bytes, src: bytes, dst: bytes) -> bool:
    """Is the checksum of a datagram right? As ipv4.checksum: words add up to a multiple of 65535, and the byte order of
    an odd end is padded. The pseudo header (RFC 768) adds addresses, protocol and length."""
    number = int.from_bytes(segment, "big") << (8 * (len(segment) & 1))
    return (number + int.from_bytes(src + dst, "big") + _UDP + len(segment)) % 0xFFFF == 0


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
