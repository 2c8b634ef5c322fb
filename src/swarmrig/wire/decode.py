"""A frame as nested values with dotted names (`ip.src`, `csi.seq`), for checks, filters and reports.

Messages are recognised by their magic number, whatever the port. `decode` accepts any bytes and never raises:
what does not parse is named in `malformed`, what lies above it stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmrig.wire.arp import Arp
from swarmrig.wire.csi import MAGIC as CSI_MAGIC
from swarmrig.wire.csi import Csi
from swarmrig.wire.csi import csi_key as csi_key  # beside `decode`, whose fast path it is
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.tdm import BEACON_MAGIC, SYNC_REQUEST_MAGIC, SYNC_RESPONSE_MAGIC, Beacon, SyncRequest, SyncResponse
from swarmrig.wire.udp import Udp
from swarmrig.wire.vitals import MAGIC as VITALS_MAGIC
from swarmrig.wire.vitals import Vitals

Message = Csi | Vitals | Beacon | SyncRequest | SyncResponse

PARSERS: Mapping[int, Callable[[bytes], Message]] = {
    CSI_MAGIC: Csi.parse,
    VITALS_MAGIC: Vitals.parse,
    BEACON_MAGIC: Beacon.parse,
    SYNC_REQUEST_MAGIC: SyncRequest.parse,
    SYNC_RESPONSE_MAGIC: SyncResponse.parse,
}

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The layers found. Fields by dotted name: see `FIELDS`."""

    length: int
    eth: Ethernet | None = None
    arp: Arp | None = None
    ip: Ipv4 | None = None
    icmp: Icmp | None = None
    udp: Udp | None = None
    csi: Csi | None = None
    vitals: Vitals | None = None
    beacon: Beacon | None = None
    sync: SyncRequest | SyncResponse | None = None
    malformed: Malformed | None = None
    """The first thing that did not parse; decoding ends there."""

    def get(self, name: str) -> Any:
        """The field's value; None when the frame has no such field. KeyError when there is no such name."""
        return FIELDS[name].read(self)

    def fields(self) -> dict[str, Any]:
        """Every field the frame has, by dotted name, JSON-able."""
        found = {name: field.read(self) for name, field in FIELDS.items()}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Field:
    """A dotted name: how to read it, the type of its value ("number", "text", "address", "mac", "truth")."""

    read: Callable[[Decoded], Any]
    type: str
    help: str


def decode(frame: bytes) -> Decoded:
    """Parse an Ethernet frame as far as it is understood; any bytes, never raises."""
    layers: dict[str, Any] = {}
    try:
        _decode_layers(bytes(frame), layers)
    except MalformedError as error:
        layers["malformed"] = error.reason
    return Decoded(len(frame), **layers)


def parse_message(payload: bytes) -> Message:
    """A datagram's payload by its magic number; MalformedError says why it is none of ours."""
    if len(payload) < 4:
        raise MalformedError(Malformed.MESSAGE_SHORT, f"{len(payload)} bytes")
    magic = int.from_bytes(payload[:4], "little")
    parser = PARSERS.get(magic)
    if parser is None:
        raise MalformedError(Malformed.MESSAGE_MAGIC, f"{magic:#010x}")
    return parser(payload)


def _decode_layers(frame: bytes, layers: dict[str, Any]) -> None:
    eth = layers["eth"] = Ethernet.parse(frame)
    if eth.type == EtherType.ARP:
        layers["arp"] = Arp.parse(eth.payload)
    elif eth.type == EtherType.IPV4:
        ip = layers["ip"] = Ipv4.parse(eth.payload)
        if not ip.fragment:
            _decode_transport(ip, layers)


def _decode_transport(ip: Ipv4, layers: dict[str, Any]) -> None:
    if ip.proto == Protocol.ICMP:
        layers["icmp"] = Icmp.parse(ip.payload)
    elif ip.proto == Protocol.UDP:
        udp = layers["udp"] = Udp.parse(ip.payload, ip.src, ip.dst)
        if int.from_bytes(udp.payload[:4], "little") in PARSERS:
            message = parse_message(udp.payload)
            layers[_LAYER_OF[type(message)]] = message


_LAYER_OF: Mapping[type, str] = {
    Csi: "csi", Vitals: "vitals", Beacon: "beacon", SyncRequest: "sync", SyncResponse: "sync",
}  # fmt: skip


def _field(layer: str, attribute: str, kind: str, text: str) -> Field:
    def read(decoded: Decoded) -> Any:
        value = getattr(decoded, layer)
        return None if value is None else getattr(value, attribute, None)

    return Field(read, kind, text)


_LAYER_FIELDS = {
    "eth": (
        ("dst", "dst", "mac", "destination address"),
        ("src", "src", "mac", "source address"),
        ("type", "type", "number", "EtherType"),
    ),
    "arp": (
        ("op", "op", "number", "1 request, 2 reply"),
        ("sender_mac", "sender_mac", "mac", "sender hardware address"),
        ("sender_ip", "sender_ip", "address", "sender protocol address"),
        ("target_mac", "target_mac", "mac", "target hardware address"),
        ("target_ip", "target_ip", "address", "target protocol address"),
    ),
    "ip": (
        ("src", "src", "address", "source address"),
        ("dst", "dst", "address", "destination address"),
        ("proto", "proto", "number", "protocol: 1 ICMP, 17 UDP"),
        ("ttl", "ttl", "number", "time to live"),
        ("id", "id", "number", "identification"),
        ("len", "length", "number", "total length in bytes"),
        ("fragment", "fragment", "truth", "part of a fragmented packet"),
    ),
    "icmp": (
        ("type", "type", "number", "8 echo request, 0 echo reply"),
        ("code", "code", "number", "code"),
        ("id", "id", "number", "echo identifier"),
        ("seq", "seq", "number", "echo sequence"),
    ),
    "udp": (
        ("sport", "sport", "number", "source port"),
        ("dport", "dport", "number", "destination port"),
        ("len", "length", "number", "length in bytes, header included"),
    ),
    "csi": (
        ("node", "node", "number", "node number"),
        ("antennas", "antennas", "number", "antennas"),
        ("subcarriers", "subcarriers", "number", "subcarriers"),
        ("frequency", "frequency_mhz", "number", "centre frequency in MHz"),
        ("channel", "channel", "number", "Wi-Fi channel of the frequency"),
        ("seq", "seq", "number", "sequence number"),
        ("rssi", "rssi", "number", "signal in dBm"),
        ("noise", "noise", "number", "noise floor in dBm"),
    ),
    "vitals": (
        ("node", "node", "number", "node number"),
        ("flags", "flags", "number", "1 presence, 2 fall, 4 motion"),
        ("presence", "presence", "truth", "somebody is there"),
        ("fall", "fall", "truth", "a fall was detected"),
        ("motion", "motion", "truth", "somebody moves"),
        ("breathing", "breathing_bpm", "number", "breaths a minute"),
        ("heart", "heart_bpm", "number", "beats a minute"),
        ("rssi", "rssi", "number", "signal in dBm"),
        ("persons", "persons", "number", "number of persons"),
        ("motion_energy", "motion_energy", "number", "motion energy"),
        ("presence_score", "presence_score", "number", "presence score"),
        ("uptime_ms", "uptime_ms", "number", "ms since boot"),
    ),
    "beacon": (
        ("node", "node", "number", "the hub's node number"),
        ("tdm_nodes", "tdm_nodes", "number", "slots in a superframe"),
        ("superframe", "superframe", "number", "superframe number"),
        ("superframe_us", "superframe_us", "number", "length of a superframe in us"),
        ("epoch_us", "epoch_us", "number", "hub clock at the superframe's start"),
    ),
    "sync": (
        ("node", "node", "number", "the asking node's number"),
        ("hub", "hub", "number", "the hub's node number (response only)"),
        ("t1", "t1_us", "number", "node clock: request sent"),
        ("t2", "t2_us", "number", "hub clock: request received (response only)"),
        ("t3", "t3_us", "number", "hub clock: response sent (response only)"),
    ),
}  # fmt: skip

LAYERS: tuple[str, ...] = tuple(_LAYER_FIELDS)

FIELDS: Mapping[str, Field] = {
    "frame.len": Field(lambda decoded: decoded.length, "number", "bytes of the frame"),
    "frame.malformed": Field(
        lambda decoded: decoded.malformed and decoded.malformed.value, "text", "why the frame does not parse"
    ),
    **{
        f"{layer}.{name}": _field(layer, attribute, kind, text)
        for layer, fields in _LAYER_FIELDS.items()
        for name, attribute, kind, text in fields
    },
}
