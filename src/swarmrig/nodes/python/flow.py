"""The frames of one conversation: what is the same in all of them is worked out once."""

from __future__ import annotations

import struct

from swarmrig.wire.ethernet import EtherType, mac_to_bytes
from swarmrig.wire.ipv4 import DEFAULT_TTL, Ipv4, Protocol, ip_to_bytes
from swarmrig.wire.udp import DatagramFrame

_IPV4_BYTES, _UDP_BYTES = 20, 8
_FRAME = struct.Struct(">16sHHHHH8sHHHH")
"""MACs, type, version and service; length, id, flags, TTL and protocol, checksum; addresses; UDP."""


class Flow:
    """Datagrams from one port to another. Makes the same bytes as Ethernet, Ipv4 and Udp do."""

    __slots__ = ("_addresses", "_dport", "_dst", "_flags", "_ip_sum", "_life", "_prefix", "_sport", "_src", "_udp_sum")

    def __init__(self, dst_mac: str, src_mac: str, src: str, sport: int, dst: str, dport: int) -> None:
        self._src, self._sport, self._dst, self._dport = src, sport, dst, dport
        self._prefix = mac_to_bytes(dst_mac) + mac_to_bytes(src_mac) + struct.pack(">HBB", EtherType.IPV4, 0x45, 0)
        self._addresses = ip_to_bytes(src) + ip_to_bytes(dst)
        self._flags = Ipv4(src, dst, Protocol.UDP, b"").flags
        self._life = DEFAULT_TTL << 8 | Protocol.UDP
        addresses = int.from_bytes(self._addresses, "big")
        # One's complement sums (see ipv4.checksum): of what does not change. The lengths are added for each frame.
        self._ip_sum = 0x4500 + self._flags + self._life + addresses
        self._udp_sum = addresses + Protocol.UDP + sport + dport

    def frame(self, number: int, payload: bytes) -> DatagramFrame:
        """The frame with this payload; `number` is that of its packet."""
        size = len(payload)
        length, total = size + _UDP_BYTES, size + _UDP_BYTES + _IPV4_BYTES
        words = int.from_bytes(payload, "big") << (8 * (size & 1))
        head = _FRAME.pack(
            self._prefix, total, number, self._flags, self._life,
            0xFFFF - ((self._ip_sum + total + number) % 0xFFFF or 0xFFFF),
            self._addresses, self._sport, self._dport, length,
            0xFFFF - ((self._udp_sum + 2 * length + words) % 0xFFFF or 0xFFFF) or 0xFFFF,
        )  # fmt: skip
        frame = DatagramFrame(head + payload)
        frame.datagram = (self._src, self._sport, self._dst, self._dport, payload)
        return frame
