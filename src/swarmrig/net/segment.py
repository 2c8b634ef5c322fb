"""Flat networks: one segment around one switch."""

from __future__ import annotations

from collections.abc import Sequence

from swarmrig.api.nodes import NodePlan
from swarmrig.model.network import (
    PERFECT,
    Lease,
    LinkPlan,
    NetworkPlan,
    RouterInterface,
    RouterPlan,
    SwitchPlan,
)
from swarmrig.model.scenario import NetworkMode, Scenario
from swarmrig.net.addresses import AGGREGATOR_GATEWAY_IP, FLAT_PREFIX, MacPlan, flat_ip
from swarmrig.net.devices import AGGREGATOR, HOST, aggregator_device, host_device, node_device

LAN = "lan"
SERVICES = "services"


def plan_segment(scenario: Scenario, plans: Sequence[NodePlan], hub: str | None) -> NetworkPlan:
    """A star around the switch at `hub`, or, without one, a mesh: everybody on the switch `lan`."""
    place = hub or LAN
    switch = f"{hub}.switch" if hub else LAN
    macs = MacPlan(scenario.network.topology)
    both_ways = scenario.network.impairment
    addresses = {plan.spec.id: flat_ip(plan.spec.number) for plan in plans}
    links: list[LinkPlan] = []
    devices = []
    for plan in plans:
        node = plan.spec.id
        if node == hub:
            link = LinkPlan(node, node, switch, PERFECT, PERFECT, access=True)
        else:
            link = LinkPlan(f"{place}--{node}", switch, node, both_ways, both_ways)
        links.append(link)
        mac = macs.node(0, plan.spec.number)
        devices.append(
            node_device(scenario, plan, link=link.name, mac=mac, addresses=addresses, prefix=FLAT_PREFIX, gateway=None)
        )
    uplink = f"{AGGREGATOR}--{place}"
    links.append(LinkPlan(uplink, AGGREGATOR, switch))
    devices.append(aggregator_device(scenario, link=uplink, mac=macs.aggregator(), prefix=FLAT_PREFIX, gateway=None))
    leases = tuple(
        Lease(device.mac, device.ip) for device, plan in zip(devices, plans, strict=False) if plan.address_by_dhcp
    )
    routers: tuple[RouterPlan, ...] = ()
    if leases:
        links.append(LinkPlan(SERVICES, SERVICES, switch, PERFECT, PERFECT, access=True))
        foot = RouterInterface(SERVICES, macs.next_router_interface(), AGGREGATOR_GATEWAY_IP, FLAT_PREFIX, leases)
        routers = (RouterPlan(SERVICES, (foot,), ()),)
    if scenario.network.mode is NetworkMode.BRIDGE:
        links.append(LinkPlan(f"{HOST}--{place}", HOST, switch, PERFECT, PERFECT, access=True))
        devices.append(host_device(link=links[-1].name, mac=macs.host()))
    return NetworkPlan(scenario.seed, tuple(devices), tuple(links), (SwitchPlan(switch),), routers)
