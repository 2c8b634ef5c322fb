"""ARP for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.ethernet import BROADCAST, Ethernet, EtherType, mac_to_bytes, mac_to_text
from swarmrig.wire.ipv4 import ip_to_bytes, ip_to_text
from swarmrig.wire.malformed import Malformed, MalformedError

REQUEST = 1
REPLY = 2

_LAYOUT = struct.Struct(">HHBBH6s4s6s4s")
_UNKNOWN_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Arp:
    op: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str

    @classmethod
    def parse(cls, payload: bytes) -> Arp:
        """Padding behind the 28 bytes is ignored."""
        if len(payload) < _LAYOUT.size:
            raise MalformedError(Malformed.ARP_SHORT, f"{len(payload)} bytes")
        hardware, protocol, hlen, plen, op, sha, spa, tha, tpa = _LAYOUT.unpack_from(payload)
        if (hardware, protocol, hlen, plen) != (1, EtherType.IPV4, 6, 4):
            raise MalformedError(Malformed.ARP_FORMAT, f"hardware {hardware}, protocol {protocol:#06x}")
        return cls(op, mac_to_text(sha), ip_to_text(spa), mac_to_text(tha), ip_to_text(tpa))

    def pack(self) -> bytes:
        return _LAYOUT.pack(
            1, EtherType.IPV4, 6, 4, self.op,
            mac_to_bytes(self.sender_mac), ip_to_bytes(self.sender_ip),
            mac_to_bytes(self.target_mac), ip_to_bytes(self.target_ip),
        )  # fmt: skip


def request_frame(mac: str, ip: str, target_ip: str) -> bytes:
    """The broadcast that asks who has `target_ip`; with `target_ip == ip` a gratuitous announcement."""
    arp = Arp(REQUEST, mac, ip, _UNKNOWN_MAC, target_ip)
    return Ethernet(BROADCAST, mac, EtherType.ARP, arp.pack()).pack()


def reply_frame(mac: str, request: Arp) -> bytes:
    """The answer that `mac` owns the address the request asked for."""
    arp = Arp(REPLY, mac, request.target_ip, request.sender_mac, request.sender_ip)
    return Ethernet(request.sender_mac, mac, EtherType.ARP, arp.pack()).pack()
