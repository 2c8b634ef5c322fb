"""The network of a run as plain values: devices, forwarders, links. Built by `net.topology`, run by `net`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

DEFAULT_LATENCY_NS = 5_000_000
MOST_CAPTURES = 600
"""Links are captured, unless somebody says otherwise or there are more of them."""


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Burst loss as a two-state chain, stepped once a frame.

    Gilbert (1960), Elliott (1963): in the good state a frame is lost with `good_loss`, in the bad state with
    `bad_loss`; `to_bad` and `to_good` are the transition probabilities per frame. All in 0..1.
    """

    to_bad: float
    to_good: float
    good_loss: float = 0.0
    bad_loss: float = 1.0


@dataclass(frozen=True, slots=True)
class Impairment:
    """What one direction of a link does to a frame. Probabilities are in 0..1, per frame."""

    latency_ns: int = DEFAULT_LATENCY_NS
    jitter_ns: int = 0
    """Added delay, uniform in 0..jitter_ns; frames keep their order unless `reorder` picks them."""
    loss: float = 0.0
    burst: GilbertElliott | None = None
    duplicate: float = 0.0
    reorder: float = 0.0
    """Probability that a frame takes half the latency and no jitter, and so overtakes those before it."""
    corrupt: float = 0.0
    """Probability that one bit, drawn uniformly over the frame, is flipped."""
    rate_bps: int | None = None
    queue_bytes: int = 131_072
    """Bytes that may wait for the rate; a frame that would exceed them is dropped (only with a rate)."""
    up: bool = True


PERFECT = Impairment(latency_ns=0)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """Two ends and an impairment per direction. `a` and `b` name devices or forwarders."""

    name: str
    a: str
    b: str
    forward: Impairment = Impairment()
    """Direction a -> b."""
    backward: Impairment = Impairment()
    """Direction b -> a."""
    capture: bool = True
    access: bool = False
    """True for the wire between a device and the forwarder at its own site: perfect, not part of the topology."""


class PortKind(StrEnum):
    """How a device is attached to the fabric."""

    PACKET = "packet"  # SOCK_SEQPACKET file descriptor, one frame a message (QEMU -netdev dgram)
    STREAM = "stream"  # SOCK_STREAM file descriptor, u32 big-endian length before each frame
    TAP = "tap"  # a TAP interface's file descriptor
    PYTHON = "python"  # a Python node hosted by the engine's driver
    USER = "user"  # its emulator's own NAT; the descriptor takes a dump of what the guest sends and receives
    LOCKSTEP = "lockstep"  # SOCK_STREAM descriptor of the lockstep protocol: network, console and time of a guest


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Something with exactly one network interface."""

    name: str
    mac: str
    link: str
    """Name of the one link it is attached to."""
    port: PortKind = PortKind.PACKET
    ip: str = ""
    prefix: int = 16
    gateway: str | None = None
    factory: str | None = None
    """For PYTHON ports: `package.module:callable`, called as factory(name, config) -> SteppableNode."""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """A learning layer-2 switch; its ports are the links that name it."""

    name: str


@dataclass(frozen=True, slots=True)
class Lease:
    """What DHCP tells the client with this MAC."""

    mac: str
    ip: str


@dataclass(frozen=True, slots=True)
class RouterInterface:
    link: str
    mac: str
    ip: str
    prefix: int
    leases: tuple[Lease, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Static: destination network -> the interface (by link name) and the next hop there, None if on-link."""

    network: str
    """CIDR, for example `10.1.3.0/24`."""
    link: str
    next_hop: str | None


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """Forwards IPv4 by static routes, answers ARP, ICMP echo and DHCP on its interfaces, floods multicast
    (TTL > 1) away from the interface that leads to the source (reverse-path check), so rings do not loop."""

    name: str
    interfaces: tuple[RouterInterface, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class NetworkPlan:
    """Everything the engine needs; the same plan drives real and virtual time."""

    seed: int
    devices: tuple[DevicePlan, ...]
    links: tuple[LinkPlan, ...]
    switches: tuple[SwitchPlan, ...] = ()
    routers: tuple[RouterPlan, ...] = ()

    def device(self, name: str) -> DevicePlan:
        """KeyError when there is none."""
        return self._devices[name]

    def link(self, name: str) -> LinkPlan:
        """KeyError when there is none."""
        return self._links[name]

    @cached_property
    def _devices(self) -> Mapping[str, DevicePlan]:
        return {device.name: device for device in self.devices}

    @cached_property
    def _links(self) -> Mapping[str, LinkPlan]:
        return {link.name: link for link in self.links}


class Fate(StrEnum):
    """What became of a frame that entered a link; the first word of its comment in the capture."""

    DELIVERED = "delivered"
    LOSS = "drop: loss"
    BURST = "drop: burst loss"
    DOWN = "drop: link down"
    QUEUE = "drop: queue full"
    BLACKHOLE = "drop: blackhole"
    CORRUPTED = "corrupted"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    OVERRUN = "overrun"  # not modelled: the receiver did not take it in time

    @property
    def modelled_drop(self) -> bool:
        return self in (Fate.LOSS, Fate.BURST, Fate.DOWN, Fate.QUEUE, Fate.BLACKHOLE)
