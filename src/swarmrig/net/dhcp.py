"""A DHCP server that only hands out the addresses of the plan (RFC 2131, options RFC 2132), sans-I/O."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

SERVER_PORT = 67
CLIENT_PORT = 68
LEASE_S = 86_400

_HEAD = struct.Struct(">BBBBIHH4s4s4s4s16s64x128x4s")
_COOKIE = b"\x63\x82\x53\x63"
_REQUEST, _REPLY = 1, 2
_BROADCAST_FLAG = 0x8000
_DISCOVER, _OFFER, _REQUEST_MESSAGE, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_PAD, _MASK, _ROUTER, _REQUESTED, _LEASE_TIME, _TYPE, _SERVER, _END = 0, 1, 3, 50, 51, 53, 54, 255
_ZERO = bytes(4)


@dataclass(frozen=True, slots=True)
class DhcpReply:
    """A UDP payload from port 67 to 68; `ip` and `mac` say where to."""

    payload: bytes
    ip: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class DhcpServer:
    """`leases`: MAC to address, both as bytes; a client that is not in it gets no answer."""

    ip: bytes
    mask: bytes
    router: bytes | None
    leases: Mapping[bytes, bytes]

    def answer(self, payload: bytes) -> DhcpReply | None:
        """The reply to a client's message; None when there is nothing to say to it."""
        if len(payload) < _HEAD.size:
            return None
        op, htype, hlen, _, xid, _, flags, ciaddr, _, _, _, chaddr, cookie = _HEAD.unpack_from(payload)
        address = self.leases.get(chaddr[:6])
        if (op, htype, hlen, cookie) != (_REQUEST, 1, 6, _COOKIE) or address is None:
            return None
        options = _parse_options(payload[_HEAD.size :])
        kind = self._kind(options, ciaddr, address)
        if kind is None:
            return None
        given = _ZERO if kind == _NAK or options[_TYPE] == bytes((_INFORM,)) else address
        body = self._body(kind, xid, flags, ciaddr if kind == _ACK else _ZERO, given, chaddr)
        if kind == _NAK or (flags & _BROADCAST_FLAG and ciaddr == _ZERO):
            return DhcpReply(body, b"\xff" * 4, b"\xff" * 6)
        return DhcpReply(body, ciaddr if ciaddr != _ZERO else address, chaddr[:6])

    def _kind(self, options: Mapping[int, bytes], ciaddr: bytes, address: bytes) -> int | None:
        message = options.get(_TYPE, b"")
        if message == bytes((_DISCOVER,)):
            return _OFFER
        if message == bytes((_INFORM,)):
            return _ACK
        if message != bytes((_REQUEST_MESSAGE,)) or options.get(_SERVER, self.ip) != self.ip:
            return None
        wanted = options.get(_REQUESTED, ciaddr)
        return _ACK if wanted == address else _NAK

    def _body(self, kind: int, xid: int, flags: int, ciaddr: bytes, given: bytes, chaddr: bytes) -> bytes:
        head = _HEAD.pack(_REPLY, 1, 6, 0, xid, 0, flags, ciaddr, given, self.ip, _ZERO, chaddr, _COOKIE)
        options = [(_TYPE, bytes((kind,))), (_SERVER, self.ip)]
        if kind != _NAK:
            if given != _ZERO:
                options.append((_LEASE_TIME, LEASE_S.to_bytes(4, "big")))
            options.append((_MASK, self.mask))
            if self.router is not None:
                options.append((_ROUTER, self.router))
        packed = b"".join(bytes((code, len(value))) + value for code, value in options)
        return (head + packed + bytes((_END,))).ljust(300, b"\0")  # BOOTP's minimum, which old clients insist on


def _parse_options(data: bytes) -> dict[int, bytes]:
    """Options by code; a truncated one ends the list."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found
