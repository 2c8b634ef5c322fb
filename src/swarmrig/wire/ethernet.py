"""Ethernet II frames (IEEE 802.3 with an EtherType; no FCS, as QEMU and TAP deliver them)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 14
MINIMUM_BYTES = 60
"""The shortest frame without FCS; shorter ones are padded with zeros on real wires."""
BROADCAST = "ff:ff:ff:ff:ff:ff"


class EtherType(IntEnum):
    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD


@dataclass(frozen=True, slots=True)
class Ethernet:
    """A frame; addresses as lower-case text (`52:54:00:01:00:02`). `payload` includes any padding."""

    dst: str
    src: str
    type: int
    payload: bytes

    @classmethod
    def parse(cls, frame: bytes) -> Ethernet:
        if len(frame) < HEADER_BYTES:
            raise MalformedError(Malformed.ETH_SHORT, f"{len(frame)} bytes")
        frame = bytes(frame)
        return cls(frame[0:6].hex(":"), frame[6:12].hex(":"), frame[12] << 8 | frame[13], frame[14:])

    def pack(self) -> bytes:
        """The frame, not padded."""
        return mac_to_bytes(self.dst) + mac_to_bytes(self.src) + struct.pack(">H", self.type) + self.payload


def mac_to_bytes(text: str) -> bytes:
    """Six bytes of `52:54:00:12:34:56` (or with `-`); ValueError says what was expected."""
    separator = "-" if "-" in text else ":"
    parts = text.split(separator)
    if len(parts) != 6 or not all(_is_octet(part) for part in parts):
        raise ValueError(f"expected a MAC address such as 52:54:00:12:34:56, got {text!r}")
    return bytes.fromhex("".join(parts))


def mac_to_text(address: bytes) -> str:
    if len(address) != 6:
        raise ValueError(f"a MAC address has 6 bytes, not {len(address)}")
    return bytes(address).hex(":")


def is_group_mac(address: str) -> bool:
    """True for broadcast and multicast addresses (IEEE 802: the I/G bit)."""
    return bool(int(address[:2], 16) & 1)


def _is_octet(part: str) -> bool:
    return len(part) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in part)
