"""The CSI frame: channel state information as a UDP payload, little endian.

u32 magic 0xC5110001 · u8 node · u8 antennas · u16 subcarriers (≤ 512) · u32 frequency MHz · u32 sequence ·
i8 rssi dBm · i8 noise dBm · u16 zero · antennas x subcarriers x (i8 I, i8 Q).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from swarmrig.wire.ethernet import EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.udp import Udp, checksum_holds

MAGIC = 0xC5110001
HEADER_BYTES = 20
MAX_SUBCARRIERS = 512

_LAYOUT = struct.Struct("<IBBHIIbbH")
_FAST = struct.Struct(">12xHBxHxxHxBH4s4s HHHH")
_FAST_CSI = struct.Struct("<IBBHII2xH")
_UDP_AT = 34
_CSI_AT = 42


@dataclass(frozen=True, slots=True)
class Csi:
    node: int
    antennas: int
    subcarriers: int
    frequency_mhz: int
    seq: int
    rssi: int
    noise: int
    samples: bytes
    """I and Q as signed bytes, alternating, antenna by antenna."""

    @property
    def channel(self) -> int | None:
        return frequency_to_channel(self.frequency_mhz)

    @classmethod
    def parse(cls, payload: bytes) -> Csi:
        if len(payload) < HEADER_BYTES:
            raise MalformedError(Malformed.CSI_SHORT, f"{len(payload)} bytes")
        magic, node, antennas, subcarriers, frequency, seq, rssi, noise, zero = _LAYOUT.unpack_from(payload)
        if magic != MAGIC:
            raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
        if subcarriers > MAX_SUBCARRIERS:
            raise MalformedError(Malformed.CSI_SUBCARRIERS, str(subcarriers))
        if len(payload) != HEADER_BYTES + 2 * antennas * subcarriers:
            raise MalformedError(Malformed.CSI_LENGTH, f"{antennas} x {subcarriers} in {len(payload)} bytes")
        if zero:
            raise MalformedError(Malformed.CSI_RESERVED, f"{zero:#06x}")
        return cls(node, antennas, subcarriers, frequency, seq, rssi, noise, bytes(payload[HEADER_BYTES:]))

    def pack(self) -> bytes:
        """The payload; ValueError when the fields contradict each other or the format."""
        if not 0 <= self.subcarriers <= MAX_SUBCARRIERS:
            raise ValueError(f"at most {MAX_SUBCARRIERS} subcarriers, not {self.subcarriers}")
        if len(self.samples) != 2 * self.antennas * self.subcarriers:
            raise ValueError(f"{self.antennas} x {self.subcarriers} pairs expected, got {len(self.samples)} bytes")
        try:
            head = _LAYOUT.pack(
                MAGIC,
                self.node,
                self.antennas,
                self.subcarriers,
                self.frequency_mhz,
                self.seq,
                self.rssi,
                self.noise,
                0,
            )
        except struct.error as error:
            raise ValueError(f"a CSI field is out of range: {error}") from error
        return head + self.samples


def channel_to_frequency(channel: int) -> int:
    """Centre frequency in MHz (IEEE 802.11): 1–13, 14 and 36–177; ValueError for other numbers."""
    if 1 <= channel <= 13:
        return 2412 + 5 * (channel - 1)
    if channel == 14:
        return 2484
    if 36 <= channel <= 177:
        return 5000 + 5 * channel
    raise ValueError(f"channel {channel} is not one of 1..14, 36..177")


def frequency_to_channel(frequency_mhz: int) -> int | None:
    """The inverse of `channel_to_frequency`, None when no channel has this frequency."""
    if frequency_mhz == 2484:
        return 14
    if 2412 <= frequency_mhz <= 2472 and (frequency_mhz - 2412) % 5 == 0:
        return (frequency_mhz - 2412) // 5 + 1
    if 5180 <= frequency_mhz <= 5885 and frequency_mhz % 5 == 0:
        return (frequency_mhz - 5000) // 5
    return None


def csi_key(frame: bytes) -> tuple[int, int] | None:
    """(node, sequence) when the frame carries a CSI frame that `decode` would accept, else None.

    The fast path for counting: fixed offsets for a header without options, one pass for both checksums.
    """
    if len(frame) < _CSI_AT + HEADER_BYTES:
        return None
    kind, first, total, flags, proto, _, src, dst, _, _, length, udp_sum = _FAST.unpack_from(frame)
    if kind != EtherType.IPV4 or proto != Protocol.UDP or flags & 0x3FFF:
        return None
    if first != 0x45:
        return _slow_key(bytes(frame))
    magic, node, antennas, subcarriers, _, seq, zero = _FAST_CSI.unpack_from(frame, _CSI_AT)
    if magic != MAGIC or subcarriers > MAX_SUBCARRIERS or zero:
        return None
    if length != 8 + HEADER_BYTES + 2 * antennas * subcarriers or not length + 20 <= total <= len(frame) - 14:
        return None
    if int.from_bytes(frame[14:_UDP_AT], "big") % 0xFFFF:
        return None
    if udp_sum and not checksum_holds(frame[_UDP_AT : _UDP_AT + length], src, dst):
        return None
    return node, seq


def _slow_key(frame: bytes) -> tuple[int, int] | None:
    """The same for packets with options, by the full parsers."""
    try:
        ip = Ipv4.parse(frame[14:])
        csi = Csi.parse(Udp.parse(ip.payload, ip.src, ip.dst).payload)
    except MalformedError:
        return None
    return csi.node, csi.seq
