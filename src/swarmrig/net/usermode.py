"""The plan of a user-mode network: every QEMU guest alone behind the emulator's own NAT (slirp).

The last resort, where the rig may not or cannot run a network of its own: no wires between nodes, so nothing can be
impaired or cut. What is left: a guest sees the host at 10.0.2.2, where the rig's aggregator listens, and each guest
can be reached at a forwarded UDP port of the host. Addresses are slirp's defaults (QEMU documentation, -netdev user).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swarmrig.api.nodes import NodePlan
from swarmrig.errors import Problem, ScenarioError
from swarmrig.model.network import (
    PERFECT,
    DevicePlan,
    Impairment,
    Lease,
    LinkPlan,
    NetworkPlan,
    RouterInterface,
    RouterPlan,
)
from swarmrig.model.scenario import Scenario
from swarmrig.net.addresses import MacPlan
from swarmrig.net.devices import AGGREGATOR, HOST, aggregator_device, node_device
from swarmrig.net.topology import check_names

GUEST_IP, HOST_IP, PREFIX = "10.0.2.15", "10.0.2.2", 24
HOST_MAC = "52:55:0a:00:02:02"
"""52:55 and the IPv4 address: so slirp makes the addresses that it sends from."""
LISTEN_IP = "127.0.0.1"
FORWARD_BASE = 100
_LAST_PORT = 65_535


def forwarded_port(scenario: Scenario, number: int) -> int:
    """The UDP port of the host (on 127.0.0.1) that leads to the aggregator port of node `number`."""
    return scenario.aggregator_port + FORWARD_BASE + number


def plan_user_network(scenario: Scenario, node_plans: Sequence[NodePlan]) -> NetworkPlan:
    """One captured link per node, named after it, to the host: slirp, which is its gateway and DHCP server.

    ScenarioError for what such a network cannot do.
    """
    check_names(scenario, also_taken={HOST})
    _refuse(scenario)
    macs = MacPlan(scenario.network.topology)
    addresses = {plan.spec.id: GUEST_IP for plan in node_plans}
    devices: list[DevicePlan] = []
    links: list[LinkPlan] = []
    feet: list[RouterInterface] = []
    for plan in node_plans:
        node, mac = plan.spec.id, macs.node(0, plan.spec.number)
        device = node_device(scenario, plan, link=node, mac=mac, addresses=addresses, prefix=PREFIX, gateway=HOST_IP)
        devices.append(replace(device, config={"forwarded_port": forwarded_port(scenario, plan.spec.number)}))
        links.append(LinkPlan(node, node, HOST, PERFECT, PERFECT))
        feet.append(RouterInterface(node, HOST_MAC, HOST_IP, PREFIX, (Lease(mac, GUEST_IP),)))
    devices.append(_aggregator(scenario))
    # The host itself is where the aggregator listens: no wire is between them, and nothing there is captured.
    links.append(LinkPlan(f"{AGGREGATOR}--{HOST}", AGGREGATOR, HOST, PERFECT, PERFECT, capture=False, access=True))
    return NetworkPlan(scenario.seed, tuple(devices), tuple(links), routers=(RouterPlan(HOST, tuple(feet), ()),))


def what_is_lost(scenario: Scenario) -> tuple[str, ...]:
    """The warnings that come with such a network."""
    port = scenario.aggregator_port
    hub = scenario.coordinator
    said = [
        f"the topology {scenario.network.topology} is not built: nodes cannot reach each other, and links have no "
        "latency, no impairments and no faults",
        f"nodes send to the rig's aggregator on {LISTEN_IP}:{port} (UDP); what they send elsewhere leaves through "
        "this host, also into networks that it is connected to",
    ]
    if hub is not None:
        said.append(
            f"nothing reaches {hub.id} but what is sent to port {forwarded_port(scenario, hub.number)} of this host; "
            "nodes hear no beacons, so it is chance whether their slots keep apart"
        )
    return tuple(f"network mode user: {text}" for text in said)


def _aggregator(scenario: Scenario) -> DevicePlan:
    """It listens on the host; guests see it at slirp's address."""
    device = aggregator_device(scenario, link=f"{AGGREGATOR}--{HOST}", mac=HOST_MAC, prefix=PREFIX, gateway=None)
    return replace(device, ip=HOST_IP, config={**device.config, "ip": HOST_IP})


def _refuse(scenario: Scenario) -> None:
    """What the scenario's reader refuses with its place in the file, for scenarios that no file says."""
    problems = []
    for link in scenario.network.links:
        message = f"a network of mode user has no link between {' and '.join(link.between)}"
        place = link.source
        problems.append(Problem(message, place.file, place.line, place.column) if place else Problem(message))
    if scenario.network.impairment != Impairment():
        problems.append(Problem("a network of mode user has no links that could be impaired"))
    highest = max(node.number for node in scenario.nodes)
    if forwarded_port(scenario, highest) > _LAST_PORT:
        room = _LAST_PORT - FORWARD_BASE - highest
        problems.append(
            Problem(
                f"aggregator_port {scenario.aggregator_port}: a network of mode user forwards the ports from "
                f"aggregator_port + {FORWARD_BASE} on, one for each node number, so it can be at most {room}",
                scenario.source,
            )
        )
    if problems:
        raise ScenarioError(problems)
