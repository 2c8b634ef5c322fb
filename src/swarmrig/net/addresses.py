"""The address plan: every address follows from a node's number or its place in the file, never from chance."""

from __future__ import annotations

import ipaddress

from swarmrig.model.scenario import Topology

AGGREGATOR_IP = "10.0.0.1"
AGGREGATOR_GATEWAY_IP = "10.0.0.254"
"""The router's address in the aggregator's subnet, and that of the `services` router of flat networks."""
HOST_IP = "10.0.0.253"
"""The host's address in a flat network that is bridged to it."""
FLAT_PREFIX = 16
SITE_PREFIX = 24
TRANSIT_PREFIX = 30
MAX_SITES = 254 << 8
MAX_TRANSITS = 1 << 18

_TRANSIT_BASE = int(ipaddress.IPv4Address("172.16.0.0"))
_TOPOLOGY_CODES = {
    Topology.STAR: 1,
    Topology.MESH: 2,
    Topology.LINE: 3,
    Topology.RING: 4,
    Topology.CUSTOM: 5,
}
_ROUTER_FLAG, _AGGREGATOR_FLAG = 0x40, 0x80
"""Added to the topology code, so that forwarders never share a MAC with a node."""


def flat_ip(number: int) -> str:
    """Address of node `number` in a network of one segment (10.0.0.0/16)."""
    return f"10.0.{1 + number // 200}.{10 + number % 200}"


def site_network(site: int) -> str:
    """The subnet of the node at place `site` (0-based) of the file, in a routed network."""
    return f"10.{1 + (site >> 8)}.{site & 255}.0/{SITE_PREFIX}"


def site_ip(site: int, host: int) -> str:
    """Host 1 is the router, host 2 the node."""
    return f"10.{1 + (site >> 8)}.{site & 255}.{host}"


def transit_ips(link: int) -> tuple[str, str]:
    """Both ends of the `link`-th wire between two routers, in 172.16.0.0/12."""
    base = _TRANSIT_BASE + 4 * link
    return str(ipaddress.IPv4Address(base + 1)), str(ipaddress.IPv4Address(base + 2))


class MacPlan:
    """52:54:HH:TT:SS:ID for nodes: topology, low byte of the site (0 in flat networks), low byte of the number; HH is
    the high byte of whichever of the two is higher."""

    def __init__(self, topology: Topology) -> None:
        self._code = _TOPOLOGY_CODES[topology]
        self._routers = 0

    def node(self, site: int, number: int) -> str:
        return _mac(self._code, site & 255, number & 255, max(site, number) >> 8)

    def aggregator(self) -> str:
        return _mac(_AGGREGATOR_FLAG | self._code, 0, 1)

    def host(self) -> str:
        return _mac(_AGGREGATOR_FLAG | self._code, 0, 2)

    def next_router_interface(self) -> str:
        """Numbered in the order in which the plan is built."""
        self._routers += 1
        return _mac(_ROUTER_FLAG | self._code, self._routers >> 8 & 255, self._routers & 255)


def _mac(topology: int, middle: int, last: int, high: int = 0) -> str:
    return f"52:54:{high:02x}:{topology:02x}:{middle:02x}:{last:02x}"
