"""RTP packets and RTCP receiver reports (RFC 3550). They have no magic number: who parses one knows what it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.malformed import Malformed, MalformedError

HEADER_BYTES = 12
RECEIVER_REPORT = 201

_HEADER = struct.Struct(">BBHII")
_EXTENSION = struct.Struct(">HH")
_REPORT = struct.Struct(">BBHIIIIIII")
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Rtp:
    """A packet without its contributing sources, header extension and padding."""

    type: int
    """Payload type, 0..127."""
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes

    @classmethod
    def parse(cls, datagram: bytes) -> Rtp:
        if len(datagram) < HEADER_BYTES:
            raise MalformedError(Malformed.RTP_SHORT, f"{len(datagram)} bytes")
        first, second, seq, timestamp, ssrc = _HEADER.unpack_from(datagram)
        if first >> 6 != _VERSION or 192 <= second <= 223:  # RFC 5761: those are RTCP
            raise MalformedError(Malformed.RTP_VERSION, f"version {first >> 6}, type {second}")
        begin = HEADER_BYTES + 4 * (first & 0x0F)
        if first & 0x10:
            if len(datagram) < begin + _EXTENSION.size:
                raise MalformedError(Malformed.RTP_LENGTH, "header extension")
            begin += _EXTENSION.size + 4 * _EXTENSION.unpack_from(datagram, begin)[1]
        end = len(datagram) - (datagram[-1] if first & 0x20 else 0)
        if begin > end:
            raise MalformedError(Malformed.RTP_LENGTH, f"payload from byte {begin} to {end}")
        return cls(second & 0x7F, bool(second & 0x80), seq, timestamp, ssrc, datagram[begin:end])


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """The first report block of a receiver report."""

    ssrc: int
    """Of the stream that it is about."""
    fraction_lost: int
    """In 1/256, since the report before."""
    lost: int
    highest: int
    """Highest sequence number received; the upper 16 bits count its cycles."""
    jitter: int

    @property
    def seq(self) -> int:
        """The highest sequence number, as it stood in its packet."""
        return self.highest & 0xFFFF

    @classmethod
    def parse(cls, datagram: bytes) -> ReceiverReport:
        if len(datagram) < _REPORT.size:
            raise MalformedError(Malformed.RTP_SHORT, f"{len(datagram)} bytes")
        first, kind, _, _, ssrc, lost, highest, jitter, _, _ = _REPORT.unpack_from(datagram)
        if first >> 6 != _VERSION or kind != RECEIVER_REPORT or not first & 0x1F:
            raise MalformedError(Malformed.RTP_VERSION, f"version {first >> 6}, type {kind}, {first & 0x1F} blocks")
        return cls(ssrc, lost >> 24, lost & 0xFFFFFF, highest, jitter)
