"""Routed networks: a subnet per node, routers between them, static shortest paths."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarmrig.api.nodes import NodePlan
from swarmrig.model.network import (
    PERFECT,
    DevicePlan,
    Lease,
    LinkPlan,
    NetworkPlan,
    Route,
    RouterInterface,
    RouterPlan,
)
from swarmrig.model.scenario import Scenario
from swarmrig.net.addresses import (
    AGGREGATOR_GATEWAY_IP,
    AGGREGATOR_IP,
    SITE_PREFIX,
    TRANSIT_PREFIX,
    MacPlan,
    site_ip,
    site_network,
    transit_ips,
)
from swarmrig.net.devices import AGGREGATOR, aggregator_device, node_device

Edge = tuple[str, str]
"""Two node ids that a link joins."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """A way to the next router."""

    neighbour: str
    link: str
    ip: str
    """The neighbour's address on that link."""


@dataclass(slots=True)
class _Site:
    """A router under construction."""

    interfaces: list[RouterInterface] = field(default_factory=list)
    hops: list[_Hop] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    """Subnets of devices that are reached through this router without another one."""


def plan_routed(
    scenario: Scenario, plans: Sequence[NodePlan], edges: Sequence[Edge], routers: Iterable[str], uplink: str
) -> NetworkPlan:
    """`routers`: the nodes with a router at their site; the others have one edge, to one of these.
    `uplink`: the node at whose router the aggregator is."""
    builder = _Builder(scenario, plans, routers)
    for a, b in edges:
        builder.join(a, b)
    for plan in plans:
        builder.attach(plan)
    builder.attach_aggregator(uplink)
    return builder.build()


class _Builder:
    def __init__(self, scenario: Scenario, plans: Sequence[NodePlan], routers: Iterable[str]) -> None:
        self._scenario = scenario
        self._macs = MacPlan(scenario.network.topology)
        self._place = {plan.spec.id: place for place, plan in enumerate(plans)}
        self._sites = {node: _Site() for node in routers}
        self._direct: dict[str, tuple[str, str]] = {}
        self._addresses = {node: site_ip(place, 2) for node, place in self._place.items()}
        self._links: list[LinkPlan] = []
        self._devices: list[DevicePlan] = []
        self._transits = 0

    def join(self, a: str, b: str) -> None:
        """Lay the link of an edge."""
        both_ways = self._scenario.network.impairment
        name = f"{a}--{b}"
        self._links.append(LinkPlan(name, self._end(a), self._end(b), both_ways, both_ways))
        if a not in self._sites:
            self._direct[a] = (name, b)
        elif b not in self._sites:
            self._direct[b] = (name, a)
        else:
            ip_a, ip_b = transit_ips(self._transits)
            self._transits += 1
            self._foot(a, name, ip_a, TRANSIT_PREFIX)
            self._foot(b, name, ip_b, TRANSIT_PREFIX)
            self._sites[a].hops.append(_Hop(b, name, ip_b))
            self._sites[b].hops.append(_Hop(a, name, ip_a))

    def attach(self, plan: NodePlan) -> None:
        """Give a node its device, subnet and gateway."""
        node = plan.spec.id
        place = self._place[node]
        if node in self._sites:
            home, link = node, node
            self._links.append(LinkPlan(link, node, self._end(node), PERFECT, PERFECT, access=True))
        else:
            link, home = self._direct[node]
        gateway = site_ip(place, 1)
        mac = self._macs.node(place, plan.spec.number)
        leases = (Lease(mac, self._addresses[node]),) if plan.address_by_dhcp else ()
        self._foot(home, link, gateway, SITE_PREFIX, leases)
        self._sites[home].networks.append(site_network(place))
        self._devices.append(
            node_device(
                self._scenario, plan,
                link=link, mac=mac, addresses=self._addresses, prefix=SITE_PREFIX, gateway=gateway,
            )
        )  # fmt: skip

    def attach_aggregator(self, home: str) -> None:
        link = f"{AGGREGATOR}--{home}"
        self._links.append(LinkPlan(link, AGGREGATOR, self._end(home)))
        self._foot(home, link, AGGREGATOR_GATEWAY_IP, SITE_PREFIX)
        self._sites[home].networks.append(f"{AGGREGATOR_IP.rpartition('.')[0]}.0/{SITE_PREFIX}")
        mac = self._macs.aggregator()
        self._devices.append(
            aggregator_device(self._scenario, link=link, mac=mac, prefix=SITE_PREFIX, gateway=AGGREGATOR_GATEWAY_IP)
        )

    def build(self) -> NetworkPlan:
        paths = {target: _first_hops(self._sites, target) for target in self._sites}
        routers = tuple(
            RouterPlan(self._end(node), tuple(site.interfaces), self._routes(node, paths))
            for node, site in self._sites.items()
        )
        return NetworkPlan(self._scenario.seed, tuple(self._devices), tuple(self._links), (), routers)

    def _routes(self, node: str, paths: Mapping[str, Mapping[str, _Hop]]) -> tuple[Route, ...]:
        return tuple(
            Route(network, paths[target][node].link, paths[target][node].ip)
            for target, site in self._sites.items()
            if target != node
            for network in site.networks
        )

    def _end(self, node: str) -> str:
        return f"{node}.router" if node in self._sites else node

    def _foot(self, node: str, link: str, ip: str, prefix: int, leases: tuple[Lease, ...] = ()) -> None:
        mac = self._macs.next_router_interface()
        self._sites[node].interfaces.append(RouterInterface(link, mac, ip, prefix, leases))


def _first_hops(sites: Mapping[str, _Site], target: str) -> dict[str, _Hop]:
    """For every other router the first hop of a shortest path to `target`; ties go to the earlier link."""
    found: dict[str, _Hop] = {}
    queue = deque([target])
    while queue:
        near = queue.popleft()
        for hop in sites[near].hops:
            far = hop.neighbour
            if far != target and far not in found:
                found[far] = next(back for back in sites[far].hops if back.link == hop.link)
                queue.append(far)
    return found
