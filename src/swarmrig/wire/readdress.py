"""Other addresses in a finished frame: MAC and IPv4 addresses wherever headers have them, with checksums that fit.

Ethernet (also with VLAN tags), ARP, IPv4, UDP and TCP; what is inside of payloads stays. Checksums are brought forward
rather than made anew (RFC 1624), so that one that was wrong before is as wrong afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarmrig.wire.ethernet import EtherType, mac_to_bytes
from swarmrig.wire.ipv4 import Protocol, checksum, ip_to_bytes

_TAGS = (0x8100, 0x88A8)
_CHECKSUM_AT: Mapping[int, int] = {Protocol.UDP: 6, Protocol.TCP: 16}


def address_bytes(text: str) -> bytes:
    """A MAC (6 bytes) or an IPv4 address (4 bytes). ValueError for anything else."""
    return mac_to_bytes(text) if ":" in text or "-" in text else ip_to_bytes(text)


def readdressed(frame: bytes, addresses: Mapping[bytes, bytes]) -> bytes:
    """The frame with each address that is a key replaced by its value, of the same length."""
    made = bytearray(frame)
    for at in (0, 6):
        _replace(made, at, 6, addresses)
    kind, at = _inside(made)
    if kind == EtherType.ARP and len(made) >= at + 28:
        for place, size in ((8, 6), (14, 4), (18, 6), (24, 4)):
            _replace(made, at + place, size, addresses)
    elif kind == EtherType.IPV4 and len(made) >= at + 20:
        _readdress_packet(made, at, addresses)
    return bytes(made)


def with_checksums(frame: bytes) -> bytes:
    """The frame with the checksums of IPv4, UDP and TCP made anew. Where a kernel leaves them to the network card,
    captures have them unfinished. Fragments are left alone, and what is cut short."""
    made = bytearray(frame)
    kind, at = _inside(made)
    if kind != EtherType.IPV4 or len(made) < at + 20:
        return frame
    inner, end = at + (made[at] & 15) * 4, at + int.from_bytes(made[at + 2 : at + 4], "big")
    if not at + 20 <= inner <= end <= len(made) or int.from_bytes(made[at + 6 : at + 8], "big") & 0x3FFF:
        return frame
    _write_sum(made, at + 10, b"", slice(at, inner))
    within = _CHECKSUM_AT.get(made[at + 9])
    if within is not None and inner + within + 2 <= end:
        pseudo = bytes(made[at + 12 : at + 20]) + bytes((0, made[at + 9])) + (end - inner).to_bytes(2, "big")
        _write_sum(made, inner + within, pseudo, slice(inner, end))
        _no_zero(made, inner + within, made[at + 9])
    return bytes(made)


def _inside(made: bytearray) -> tuple[int, int]:
    """What is in the frame, by its EtherType, and where: behind VLAN tags."""
    at = 12
    while len(made) >= at + 6 and int.from_bytes(made[at : at + 2], "big") in _TAGS:
        at += 4
    return int.from_bytes(made[at : at + 2], "big"), at + 2


def _write_sum(made: bytearray, at: int, before: bytes, covered: slice) -> None:
    made[at : at + 2] = b"\0\0"
    made[at : at + 2] = checksum(before + bytes(made[covered])).to_bytes(2, "big")


def _no_zero(made: bytearray, at: int, protocol: int) -> None:
    """In UDP, zero means that there is no checksum."""
    if protocol == Protocol.UDP and made[at : at + 2] == b"\0\0":
        made[at : at + 2] = b"\xff\xff"


def _readdress_packet(made: bytearray, at: int, addresses: Mapping[bytes, bytes]) -> None:
    before = bytes(made[at + 12 : at + 20])
    for place in (12, 16):
        _replace(made, at + place, 4, addresses)
    after = bytes(made[at + 12 : at + 20])
    if before == after:
        return
    _bring_forward(made, at + 10, before, after)
    first_fragment = not int.from_bytes(made[at + 6 : at + 8], "big") & 0x1FFF
    within = _CHECKSUM_AT.get(made[at + 9])
    if within is None or not first_fragment:
        return
    inner = at + (made[at] & 15) * 4 + within
    absent = made[at + 9] == Protocol.UDP and made[inner : inner + 2] == b"\0\0"
    if len(made) >= inner + 2 and not absent:
        _bring_forward(made, inner, before, after)
        _no_zero(made, inner, made[at + 9])


def _replace(made: bytearray, at: int, size: int, addresses: Mapping[bytes, bytes]) -> None:
    new = addresses.get(bytes(made[at : at + size]))
    if new is not None:
        made[at : at + size] = new


def _bring_forward(made: bytearray, at: int, before: bytes, after: bytes) -> None:
    total = ~int.from_bytes(made[at : at + 2], "big") & 0xFFFF
    for index in range(0, len(before), 2):
        total += ~int.from_bytes(before[index : index + 2], "big") & 0xFFFF
        total += int.from_bytes(after[index : index + 2], "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    made[at : at + 2] = (~total & 0xFFFF).to_bytes(2, "big")
