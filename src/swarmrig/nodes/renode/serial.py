"""What UARTs say to each other, as Ethernet frames: so links, captures and faults are for them, too.

A frame is broadcast, of EtherType 0x88B5 (IEEE 802: local experimental): a length of two bytes, big endian, then so
many bytes of the line, then padding. A serial line has no addresses: everybody whose UART is joined hears everything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from swarmrig.wire.ethernet import BROADCAST, MINIMUM_BYTES, Ethernet

ETHERTYPE = 0x88B5
PAYLOAD = 1024
"""Bytes of the line in one frame, at most."""
_LENGTH = struct.Struct(">H")


def frames_of(mac: str, data: bytes) -> Iterator[bytes]:
    """The frames that carry these bytes from the device with this address."""
    for start in range(0, len(data), PAYLOAD):
        part = data[start : start + PAYLOAD]
        frame = Ethernet(BROADCAST, mac, ETHERTYPE, _LENGTH.pack(len(part)) + part).pack()
        yield frame.ljust(MINIMUM_BYTES, b"\0")


def bytes_of(frame: bytes) -> bytes:
    """The bytes of the line in a frame; b"" for any other frame, and for one that was damaged beyond use."""
    if len(frame) < 16 or frame[12:14] != ETHERTYPE.to_bytes(2, "big"):
        return b""
    (length,) = _LENGTH.unpack_from(frame, 14)
    return frame[16 : 16 + length] if length <= min(PAYLOAD, len(frame) - 16) else b""
