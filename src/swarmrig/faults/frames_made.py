"""Frames that no device sends: from hex digits, as a datagram between two nodes, or from a capture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from swarmrig.api.params import Params
from swarmrig.faults.links_place import Name, node_id
from swarmrig.model.network import DevicePlan, NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.net.link import MAX_FRAME, MIN_FRAME
from swarmrig.net.pcapng import PcapngError, PcapngReader
from swarmrig.wire.ethernet import BROADCAST, Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol, ip_to_bytes, is_multicast, multicast_mac
from swarmrig.wire.udp import Udp

EPHEMERAL_PORT = 49_152
LIMITED_BROADCAST = "255.255.255.255"


class DatagramParams(Params):
    """A UDP datagram, addressed by the names of nodes."""

    src: Name
    """The node that it seems to come from, or an address."""
    dst: Name
    """The node that it goes to, or an address."""
    sport: int = Field(default=EPHEMERAL_PORT, ge=0, le=0xFFFF, strict=True)
    """The port that it seems to come from."""
    port: int = Field(ge=1, le=0xFFFF, strict=True)
    """The port that it goes to."""
    text: str | None = None
    """What it carries, as text."""
    hex: str | None = None
    """What it carries, in hex digits."""

    @field_validator("hex")
    @classmethod
    def _digits(cls, value: str | None) -> str | None:
        return None if value is None else parse_hex(value).hex()

    @model_validator(mode="after")
    def _one_payload(self) -> DatagramParams:
        if self.text is not None and self.hex is not None:
            raise ValueError("a datagram carries text or hex, not both")
        return self

    @property
    def payload(self) -> bytes:
        return bytes.fromhex(self.hex) if self.hex is not None else (self.text or "").encode()


def parse_hex(text: str) -> bytes:
    """Hex digits, with spaces, colons or dashes between bytes if you like."""
    digits = text.replace(":", " ").replace("-", " ")
    try:
        return bytes.fromhex("".join(digits.split()))
    except ValueError:
        raise ValueError(f"expected pairs of hex digits, got {text[:60]!r}") from None


def parse_frame(text: str) -> bytes:
    """A frame in hex digits; ValueError when it is too short or too long for one."""
    frame = parse_hex(text)
    if not MIN_FRAME <= len(frame) <= MAX_FRAME:
        raise ValueError(f"a frame has {MIN_FRAME} to {MAX_FRAME} bytes, not {len(frame)}")
    return frame


@dataclass(frozen=True, slots=True)
class Hop:
    """One way over one link, from end to end."""

    link: str
    sender: str
    receiver: str

    @classmethod
    def to_device(cls, network: NetworkPlan, device: DevicePlan) -> Hop:
        """Over a device's own link, towards it."""
        plan = network.link(device.link)
        return cls(plan.name, plan.b if plan.a == device.name else plan.a, device.name)


def make_datagram(
    params: DatagramParams, hop: Hop, scenario: Scenario, network: NetworkPlan, *, identification: int = 0
) -> bytes:
    """The frame that carries a datagram over this hop. ValueError when an address is none."""
    src, dst = (_address(name, scenario, network) for name in (params.src, params.dst))
    datagram = Udp(params.sport, params.port, params.payload).pack(src, dst)
    packet = Ipv4(src, dst, Protocol.UDP, datagram, id=identification).pack()
    source_mac = _mac_of_end(network, hop.link, hop.sender) or _mac_of_ip(network, src)
    return Ethernet(_destination_mac(network, hop, dst), source_mac, EtherType.IPV4, packet).pack()


def _address(name: Name, scenario: Scenario, network: NetworkPlan) -> str:
    wanted = node_id(scenario, name)
    found = next((device.ip for device in network.devices if device.name == wanted), wanted)
    try:
        ip_to_bytes(found)
    except ValueError:
        raise ValueError(f"{wanted!r} is neither a node nor an IPv4 address") from None
    return found


def _destination_mac(network: NetworkPlan, hop: Hop, dst: str) -> str:
    if dst == LIMITED_BROADCAST:
        return BROADCAST
    if is_multicast(dst):
        return multicast_mac(dst)
    return _mac_of_end(network, hop.link, hop.receiver) or _mac_of_ip(network, dst)


def _mac_of_end(network: NetworkPlan, link: str, end: str) -> str | None:
    """Who has that end; None for a switch, which has no address."""
    for router in network.routers:
        for interface in router.interfaces:
            if router.name == end and interface.link == link:
                return interface.mac
    return next((device.mac for device in network.devices if device.name == end), None)


def _mac_of_ip(network: NetworkPlan, address: str) -> str:
    found = next((device.mac for device in network.devices if device.ip == address), None)
    if found is None:
        raise ValueError(f"nobody on this segment has the address {address}")
    return found


def read_capture(path: Path, sender: str | None = None) -> list[tuple[int, bytes]]:
    """The frames of a pcapng file with their times (ns); if it has an interface `sender`, those that it sent.
    ValueError when it cannot be read, or has none."""
    reader = PcapngReader()
    try:
        packets = reader.feed(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except PcapngError as error:
        raise ValueError(f"{path} is no capture in the pcapng format: {error}") from error
    if sender in reader.interfaces:
        own = reader.interfaces.index(sender)
        packets = [packet for packet in packets if packet.interface == own and not packet.inbound]
    frames = [(packet.t_ns, packet.data) for packet in packets if MIN_FRAME <= len(packet.data) <= MAX_FRAME]
    if not frames:
        raise ValueError(f"{path} has no frame")
    return frames
