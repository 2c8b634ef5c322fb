"""Latency as the network saw it: from a frame in one capture to the frame that belongs to it, there or in another.

Two frames belong together when fields of the first equal fields of the second: the sequence number of a packet that
was seen at two places, or a request's number in its answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.model.units import NS_PER_S
from swarmrig.net.evidence import fate_of
from swarmrig.net.pcapng import Packet, PcapngError, PcapngReader
from swarmrig.scenario.problems import suggest
from swarmrig.suites.statistics import describe
from swarmrig.suites.values import Value
from swarmrig.wire.decode import FIELDS, decode
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.filter import Filter
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.malformed import MalformedError
from swarmrig.wire.rtp import ReceiverReport, Rtp
from swarmrig.wire.udp import HEADER_BYTES

_Parsed = TypeVar("_Parsed", Rtp, ReceiverReport)

CHUNK = 1 << 20
LONGEST_NS = 10 * NS_PER_S
"""A frame that has found no other for so long is lost, and its fields may be used again."""

_RTP: Mapping[str, Callable[[Rtp], Hashable]] = {
    "rtp.seq": lambda packet: packet.seq,
    "rtp.timestamp": lambda packet: packet.timestamp,
    "rtp.ssrc": lambda packet: packet.ssrc,
    "rtp.type": lambda packet: packet.type,
    "rtp.marker": lambda packet: packet.marker,
}
_RTCP: Mapping[str, Callable[[ReceiverReport], Hashable]] = {
    "rtcp.seq": lambda report: report.seq,
    "rtcp.highest": lambda report: report.highest,
    "rtcp.ssrc": lambda report: report.ssrc,
}
FIELD_NAMES = (*FIELDS, *_RTP, *_RTCP)
RTP_SEQUENCE = (("rtp.ssrc", "rtp.ssrc"), ("rtp.seq", "rtp.seq"), ("rtp.timestamp", "rtp.timestamp"))
"""The same RTP packet, seen at two places."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which frames belong together."""

    fields: Sequence[tuple[str, str]] = RTP_SEQUENCE
    """A field of the first frame, and the field of the second that equals it."""
    first: Filter | None = None
    second: Filter | None = None

    def __post_init__(self) -> None:
        for name in (name for pair in self.fields for name in pair):
            if name not in FIELD_NAMES:
                hint = suggest(name, FIELD_NAMES) or "fields are those of filters, and rtp.*, rtcp.*"
                raise SwarmrigError(f"unknown field {name!r}", hint=hint)


@dataclass(slots=True)
class WireLatency:
    """What was measured. Frames without their other half say nothing about latency, and are counted."""

    latencies_ns: list[int] = field(default_factory=list)
    lost: int = 0
    """First frames that no second one answered."""
    extra: int = 0
    """Second frames that belong to no first one: duplicates, or what began before the capture."""

    def as_values(self) -> dict[str, Value]:
        """Counts and percentiles, in µs; without samples there are no percentiles."""
        values: dict[str, Value] = {"samples": len(self.latencies_ns), "lost": self.lost, "extra": self.extra}
        if self.latencies_ns:
            described = describe(self.latencies_ns)
            values |= {f"{name}_us": round(described[name] / 1000, 3) for name in ("min", "p50", "p95", "p99", "max")}
        return values


def measure(first: Path, second: Path | None, pairing: Pairing) -> WireLatency:
    """Pair the frames of two captures, or of one. Both are read once, in the order of time.

    Raises HostError when a capture cannot be read or is none.
    """
    found = WireLatency()
    waiting: dict[Hashable, int] = {}
    for t_ns, is_second, packet in _in_order(first, second):
        if (second is None or is_second) and (key := _key(packet, pairing, 1)) is not None:
            begun = waiting.pop(key, None)
            if begun is not None and t_ns - begun <= LONGEST_NS:
                found.latencies_ns.append(t_ns - begun)
                continue
            found.lost += begun is not None
            found.extra += second is not None
        if not is_second and (key := _key(packet, pairing, 0)) is not None:
            begun = waiting.setdefault(key, t_ns)
            if t_ns - begun > LONGEST_NS:
                found.lost += 1
                waiting[key] = t_ns
    found.lost += len(waiting)
    return found


def _in_order(first: Path, second: Path | None) -> Iterator[tuple[int, bool, Packet]]:
    streams = [_stamped(first, False), *([_stamped(second, True)] if second is not None else [])]
    return heapq.merge(*streams, key=lambda entry: entry[:2])


def _stamped(path: Path, is_second: bool) -> Iterator[tuple[int, bool, Packet]]:
    for packet in _packets(path):
        yield packet.t_ns, is_second, packet


def _packets(path: Path) -> Iterator[Packet]:
    reader = PcapngReader()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield from reader.feed(chunk)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    except PcapngError as error:
        raise HostError(f"{path} is no capture that can be read: {error}") from error


def _key(packet: Packet, pairing: Pairing, side: int) -> Hashable | None:
    """The fields by which a frame is known on this side; None when it has not all of them, or does not belong here."""
    wanted = pairing.second if side else pairing.first
    if packet.inbound or (wanted is not None and not wanted.matches(packet.data)):
        return None
    if side and fate_of(packet.comment).modelled_drop:
        return None  # it was seen to enter the link at this place, and never left it
    names = tuple(pair[side] for pair in pairing.fields)
    values = _values(packet.data, names)
    return None if any(value is None for value in values) else values


def _values(frame: bytes, names: Sequence[str]) -> tuple[Hashable | None, ...]:
    decoded = decode(frame) if any(name in FIELDS for name in names) else None
    payload = _datagram(frame) if any(name not in FIELDS for name in names) else b""
    rtp = _parsed(Rtp, payload) if any(name in _RTP for name in names) else None
    report = _parsed(ReceiverReport, payload) if any(name in _RTCP for name in names) else None
    found: list[Hashable | None] = []
    for name in names:
        if name in _RTP:
            found.append(None if rtp is None else _RTP[name](rtp))
        elif name in _RTCP:
            found.append(None if report is None else _RTCP[name](report))
        else:
            found.append(None if decoded is None else decoded.get(name))
    return tuple(found)


def _parsed(kind: type[_Parsed], payload: bytes) -> _Parsed | None:
    try:
        return kind.parse(payload)
    except MalformedError:
        return None


def _datagram(frame: bytes) -> bytes:
    """What a UDP datagram carries. Its checksum is not looked at: hosts leave that to their network cards."""
    try:
        eth = Ethernet.parse(frame)
        if eth.type != EtherType.IPV4:
            return b""
        ip = Ipv4.parse(eth.payload)
    except MalformedError:
        return b""
    return ip.payload[HEADER_BYTES:] if ip.proto == Protocol.UDP and not ip.fragment else b""
