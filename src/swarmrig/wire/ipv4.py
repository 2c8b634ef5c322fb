"""IPv4 packets (RFC 791) and the internet checksum (RFC 1071). Fragments are recognised, not reassembled."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 20
DEFAULT_TTL = 64
MTU_BYTES = 1500

_LAYOUT = struct.Struct(">BBHHHBBH4s4s")
_DONT_FRAGMENT = 0x4000
_FRAGMENT_BITS = 0x3FFF


class Protocol(IntEnum):
    ICMP = 1
    TCP = 6
    UDP = 17


@dataclass(frozen=True, slots=True)
class Ipv4:
    """A packet; addresses as dotted text. `options` are carried, not interpreted."""

    src: str
    dst: str
    proto: int
    payload: bytes
    ttl: int = DEFAULT_TTL
    id: int = 0
    tos: int = 0
    flags: int = _DONT_FRAGMENT
    """The 16-bit field with the three flags and the fragment offset."""
    options: bytes = b""

    @property
    def fragment(self) -> bool:
        """True for any fragment, the first one too."""
        return bool(self.flags & _FRAGMENT_BITS)

    @property
    def length(self) -> int:
        return HEADER_BYTES + len(self.options) + len(self.payload)

    @classmethod
    def parse(cls, packet: bytes) -> Ipv4:
        """Bytes behind the total length (Ethernet padding) are ignored; the header checksum must hold."""
        if len(packet) < HEADER_BYTES:
            raise MalformedError(Malformed.IP_SHORT, f"{len(packet)} bytes")
        first, tos, total, ident, flags, ttl, proto, _, src, dst = _LAYOUT.unpack_from(packet)
        if first >> 4 != 4:
            raise MalformedError(Malformed.IP_VERSION, f"version {first >> 4}")
        header = (first & 15) * 4
        if not HEADER_BYTES <= header <= len(packet):
            raise MalformedError(Malformed.IP_HEADER_LENGTH, f"{header} bytes")
        if not header <= total <= len(packet):
            raise MalformedError(Malformed.IP_TOTAL_LENGTH, f"{total} of {len(packet)} bytes")
        if checksum(packet[:header]):
            raise MalformedError(Malformed.IP_CHECKSUM)
        return cls(
            ip_to_text(src), ip_to_text(dst), proto, bytes(packet[header:total]),
            ttl, ident, tos, flags, bytes(packet[HEADER_BYTES:header]),
        )  # fmt: skip

    def pack(self) -> bytes:
        words = (HEADER_BYTES + len(self.options)) // 4
        if len(self.options) % 4 or words > 15:
            raise ValueError(f"IPv4 options take 0, 4, … 40 bytes, not {len(self.options)}")
        head = _LAYOUT.pack(
            0x40 | words, self.tos, self.length, self.id, self.flags, self.ttl, self.proto, 0,
            ip_to_bytes(self.src), ip_to_bytes(self.dst),
        ) + self.options  # fmt: skip
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + self.payload


def checksum(data: bytes) -> int:
    """The internet checksum of `data` (zero when `data` contains its own valid checksum).

    The one's complement sum of 16-bit words is the number that the bytes form, modulo 65535: one big-integer
    division in C instead of a loop. A sum of zero stays zero only for all-zero data.
    """
    if len(data) % 2:
        data = bytes(data) + b"\0"
    number = int.from_bytes(data, "big")
    return ~((number % 0xFFFF) or (0xFFFF if number else 0)) & 0xFFFF


def decrement_ttl(packet: bytes) -> bytes:
    """The packet with a TTL one lower and the header checksum updated in place (RFC 1624, equation 3)."""
    ttl = packet[8]
    if ttl == 0:
        raise ValueError("the TTL is already zero")
    old_word = packet[8] << 8 | packet[9]
    old_sum = packet[10] << 8 | packet[11]
    total = (~old_sum & 0xFFFF) + (~old_word & 0xFFFF) + (old_word - 0x100)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return packet[:8] + bytes((ttl - 1, packet[9])) + struct.pack(">H", ~total & 0xFFFF) + packet[12:]


def ip_to_bytes(text: str) -> bytes:
    """Four bytes of `10.0.0.1`; ValueError says what was expected."""
    try:
        return socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError) as error:
        raise ValueError(f"expected an IPv4 address such as 10.0.0.1, got {text!r}") from error


def ip_to_text(address: bytes) -> str:
    return socket.inet_ntoa(address)


def ip_to_int(text: str) -> int:
    return int.from_bytes(ip_to_bytes(text), "big")


def is_multicast(address: str) -> bool:
    """True for 224.0.0.0/4."""
    return 224 <= ip_to_bytes(address)[0] <= 239


def multicast_mac(address: str) -> str:
    """The Ethernet group address of an IPv4 multicast group (RFC 1112)."""
    a = ip_to_bytes(address)
    return bytes((0x01, 0x00, 0x5E, a[1] & 0x7F, a[2], a[3])).hex(":")
