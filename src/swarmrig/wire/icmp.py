"""ICMP messages (RFC 792); the fields are those of echo, the only kind that is built here."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.ipv4 import checksum
from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 8
ECHO_REPLY = 0
UNREACHABLE = 3
ECHO_REQUEST = 8
TIME_EXCEEDED = 11

_LAYOUT = struct.Struct(">BBHHH")


@dataclass(frozen=True, slots=True)
class Icmp:
    type: int
    code: int = 0
    id: int = 0
    seq: int = 0
    payload: bytes = b""

    @classmethod
    def parse(cls, message: bytes) -> Icmp:
        if len(message) < HEADER_BYTES:
            raise MalformedError(Malformed.ICMP_SHORT, f"{len(message)} bytes")
        if checksum(message):
            raise MalformedError(Malformed.ICMP_CHECKSUM)
        kind, code, _, ident, seq = _LAYOUT.unpack_from(message)
        return cls(kind, code, ident, seq, bytes(message[HEADER_BYTES:]))

    def pack(self) -> bytes:
        message = _LAYOUT.pack(self.type, self.code, 0, self.id, self.seq) + self.payload
        return message[:2] + struct.pack(">H", checksum(message)) + message[4:]

    def reply(self) -> Icmp:
        """The echo reply to this echo request."""
        return Icmp(ECHO_REPLY, 0, self.id, self.seq, self.payload)
