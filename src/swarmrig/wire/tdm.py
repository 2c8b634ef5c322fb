"""The hub's beacon and the time synchronisation that keeps TDM slots, little endian, UDP port of the data + 1.

The beacon goes to the group 239.83.87.1 (TTL 16) at each superframe start: u32 magic 0xC5110010 · u8 version 1 ·
u8 node · u8 tdm_nodes · u8 0 · u32 superframe number · u32 superframe us · u64 epoch us (hub clock at its start).
Synchronisation is NTP's four-timestamp exchange (RFC 5905), node to hub: request u32 0xC5110011 · u8 node ·
3 zero · u64 t1 us; response u32 0xC5110012 · u8 hub · u8 node · u16 0 · u64 t1 · u64 t2 (hub received) · u64 t3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.malformed import Malformed, MalformedError

BEACON_MAGIC = 0xC5110010
SYNC_REQUEST_MAGIC = 0xC5110011
SYNC_RESPONSE_MAGIC = 0xC5110012
BEACON_BYTES = 24
SYNC_REQUEST_BYTES = 16
SYNC_RESPONSE_BYTES = 32
BEACON_VERSION = 1
GROUP = "239.83.87.1"
GROUP_TTL = 16
SUPERFRAME_US = 50_000

_BEACON = struct.Struct("<IBBBBIIQ")
_REQUEST = struct.Struct("<IB3xQ")
_RESPONSE = struct.Struct("<IBBHQQQ")


@dataclass(frozen=True, slots=True)
class Beacon:
    node: int
    tdm_nodes: int
    superframe: int
    superframe_us: int
    epoch_us: int

    @classmethod
    def parse(cls, payload: bytes) -> Beacon:
        if len(payload) != BEACON_BYTES:
            raise MalformedError(Malformed.BEACON_LENGTH, f"{len(payload)} bytes")
        magic, version, node, tdm_nodes, _, number, length_us, epoch_us = _BEACON.unpack(payload)
        if magic != BEACON_MAGIC:
            raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
        if version != BEACON_VERSION:
            raise MalformedError(Malformed.BEACON_VERSION, str(version))
        return cls(node, tdm_nodes, number, length_us, epoch_us)

    def pack(self) -> bytes:
        return _pack(
            _BEACON, BEACON_MAGIC, BEACON_VERSION, self.node, self.tdm_nodes, 0,
            self.superframe, self.superframe_us, self.epoch_us,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SyncRequest:
    node: int
    t1_us: int

    @classmethod
    def parse(cls, payload: bytes) -> SyncRequest:
        if len(payload) != SYNC_REQUEST_BYTES:
            raise MalformedError(Malformed.SYNC_REQUEST_LENGTH, f"{len(payload)} bytes")
        magic, node, t1 = _REQUEST.unpack(payload)
        if magic != SYNC_REQUEST_MAGIC:
            raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
        return cls(node, t1)

    def pack(self) -> bytes:
        return _pack(_REQUEST, SYNC_REQUEST_MAGIC, self.node, self.t1_us)


@dataclass(frozen=True, slots=True)
class SyncResponse:
    hub: int
    node: int
    t1_us: int
    t2_us: int
    t3_us: int

    @classmethod
    def parse(cls, payload: bytes) -> SyncResponse:
        if len(payload) != SYNC_RESPONSE_BYTES:
            raise MalformedError(Malformed.SYNC_RESPONSE_LENGTH, f"{len(payload)} bytes")
        magic, hub, node, _, t1, t2, t3 = _RESPONSE.unpack(payload)
        if magic != SYNC_RESPONSE_MAGIC:
            raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
        return cls(hub, node, t1, t2, t3)

    def pack(self) -> bytes:
        return _pack(_RESPONSE, SYNC_RESPONSE_MAGIC, self.hub, self.node, 0, self.t1_us, self.t2_us, self.t3_us)


def slot_window_us(slot: int, tdm_nodes: int, superframe_us: int = SUPERFRAME_US) -> tuple[int, int]:
    """[start, end) of a slot after the superframe start, in hub time, rounded down to whole microseconds."""
    if not 0 <= slot < tdm_nodes:
        raise ValueError(f"slot {slot} is not one of {tdm_nodes}")
    return slot * superframe_us // tdm_nodes, (slot + 1) * superframe_us // tdm_nodes


def _pack(layout: struct.Struct, *fields: int) -> bytes:
    try:
        return layout.pack(*fields)
    except struct.error as error:
        raise ValueError(f"a TDM field is out of range: {error}") from error
