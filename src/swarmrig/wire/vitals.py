"""The vitals packet: what a node's edge processing concluded, 32 bytes as a UDP payload, little endian.

u32 magic 0xC5110002 · u8 node · u8 flags (1 presence, 2 fall, 4 motion) · u16 breathing BPM x 100 ·
u32 heart BPM x 10000 · i8 rssi · u8 persons · 2 reserved · f32 motion energy · f32 presence score ·
u32 ms since boot · u32 reserved.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.malformed import Malformed, MalformedError

MAGIC = 0xC5110002
BYTES = 32
FLAG_PRESENCE = 1
FLAG_FALL = 2
FLAG_MOTION = 4

_LAYOUT = struct.Struct("<IBBHIbBHffII")


@dataclass(frozen=True, slots=True)
class Vitals:
    node: int
    flags: int
    breathing_centi_bpm: int
    heart_bpm_e4: int
    rssi: int
    persons: int
    motion_energy: float
    presence_score: float
    uptime_ms: int

    @property
    def presence(self) -> bool:
        return bool(self.flags & FLAG_PRESENCE)

    @property
    def fall(self) -> bool:
        return bool(self.flags & FLAG_FALL)

    @property
    def motion(self) -> bool:
        return bool(self.flags & FLAG_MOTION)

    @property
    def breathing_bpm(self) -> float:
        return self.breathing_centi_bpm / 100

    @property
    def heart_bpm(self) -> float:
        return self.heart_bpm_e4 / 10_000

    @classmethod
    def parse(cls, payload: bytes) -> Vitals:
        """Reserved bytes are ignored."""
        if len(payload) != BYTES:
            raise MalformedError(Malformed.VITALS_LENGTH, f"{len(payload)} bytes")
        magic, node, flags, breathing, heart, rssi, persons, _, energy, score, uptime, _ = _LAYOUT.unpack(payload)
        if magic != MAGIC:
            raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
        return cls(node, flags, breathing, heart, rssi, persons, energy, score, uptime)

    def pack(self) -> bytes:
        """The payload; ValueError when a field is out of range."""
        try:
            return _LAYOUT.pack(
                MAGIC, self.node, self.flags, self.breathing_centi_bpm, self.heart_bpm_e4, self.rssi, self.persons, 0,
                self.motion_energy, self.presence_score, self.uptime_ms, 0,
            )  # fmt: skip
        except (struct.error, OverflowError) as error:
            raise ValueError(f"a vitals field is out of range: {error}") from error
