"""The graph that is drawn: places and the wires between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarmrig.model.network import NetworkPlan
from swarmrig.reports.picture.wires import describe_link

_LONGEST_LABEL = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A device, with the switch or router of its own site, or a switch or router that stands alone."""

    name: str
    kind: str
    """coordinator, gateway, sensor, service (built in), switch or router."""
    note: str
    """Address, or what it is."""

    @property
    def label(self) -> str:
        """As much of the name as its box has room for."""
        return self.name if len(self.name) <= _LONGEST_LABEL else self.name[: _LONGEST_LABEL - 1] + "…"


@dataclass(frozen=True, slots=True)
class Wire:
    """A link; `a` and `b` name places."""

    name: str
    a: str
    b: str
    note: str


@dataclass(frozen=True, slots=True)
class Graph:
    title: str
    places: tuple[Place, ...]
    wires: tuple[Wire, ...]

    def neighbours(self) -> dict[str, list[str]]:
        """Names of adjacent places, in the order of the wires."""
        adjacent: dict[str, list[str]] = {place.name: [] for place in self.places}
        for wire in self.wires:
            adjacent[wire.a].append(wire.b)
            adjacent[wire.b].append(wire.a)
        return adjacent


def network_graph(title: str, roles: Mapping[str, str], network: NetworkPlan) -> Graph:
    """The plan as it is drawn: a switch or router at a device's own site is one place with the device. `roles` has
    the kind of each device that is a node; all others are services."""
    site = _sites(network)
    places = [
        Place(device.name, roles.get(device.name, "service"), f"{device.ip}/{device.prefix}")
        for device in network.devices
    ]
    alone = [(switch.name, "switch") for switch in network.switches]
    alone += [(router.name, "router") for router in network.routers]
    places += [Place(name, kind, kind) for name, kind in alone if name not in site]
    wires = [
        Wire(link.name, site.get(link.a, link.a), site.get(link.b, link.b), describe_link(link))
        for link in network.links
        if not link.access
    ]
    return Graph(title, tuple(places), tuple(wires))


def _sites(network: NetworkPlan) -> Mapping[str, str]:
    """Forwarder -> the one device at its site, which an access link tells."""
    devices = {device.name for device in network.devices}
    site: dict[str, str] = {}
    for link in network.links:
        if link.access:
            device, forwarder = (link.a, link.b) if link.a in devices else (link.b, link.a)
            site.setdefault(forwarder, device)
    return site
