"""The devices of a plan: what a node, and the aggregator, is told about its place in the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmrig.api.nodes import NodePlan
from swarmrig.model.network import DevicePlan, PortKind
from swarmrig.model.scenario import Scenario
from swarmrig.net.addresses import AGGREGATOR_IP, FLAT_PREFIX, HOST_IP

AGGREGATOR = "aggregator"
HOST = "host"
AGGREGATOR_FACTORY = "swarmrig.nodes.python.aggregator:make_aggregator"


def node_device(
    scenario: Scenario,
    plan: NodePlan,
    *,
    link: str,
    mac: str,
    addresses: Mapping[str, str],
    prefix: int,
    gateway: str | None,
) -> DevicePlan:
    """The device of a node; `addresses` holds those of all nodes by id. Python nodes are told in `config`."""
    spec = plan.spec
    device = DevicePlan(spec.id, mac, link, plan.port, addresses[spec.id], prefix, gateway)
    if plan.port is not PortKind.PYTHON:
        return device
    hub = scenario.coordinator
    target = AGGREGATOR_IP if hub is None or hub.id == spec.id else addresses[hub.id]
    config: dict[str, Any] = {
        **_place(device),
        "number": spec.number,
        "role": spec.role.value,
        "scenario": spec.scenario,
        "channel": spec.channel,
        "tdm_slot": spec.tdm_slot,
        "tdm_nodes": len(scenario.nodes),
        "seed": scenario.seed,
        "quantum_ns": scenario.network.quantum_ns,
        "target_ip": target,
        "aggregator_ip": AGGREGATOR_IP,
        "port": scenario.aggregator_port,
        **plan.config,
    }
    return DevicePlan(spec.id, mac, link, plan.port, device.ip, prefix, gateway, factory=plan.factory, config=config)


def aggregator_device(scenario: Scenario, *, link: str, mac: str, prefix: int, gateway: str | None) -> DevicePlan:
    """The Python device that every network has; its config names the nodes whose frames it expects."""
    device = DevicePlan(AGGREGATOR, mac, link, PortKind.PYTHON, AGGREGATOR_IP, prefix, gateway)
    config = {
        **_place(device),
        "port": scenario.aggregator_port,
        "nodes": {node.id: node.number for node in scenario.nodes},
    }
    return DevicePlan(
        AGGREGATOR, mac, link, PortKind.PYTHON, AGGREGATOR_IP, prefix, gateway,
        factory=AGGREGATOR_FACTORY, config=config,
    )  # fmt: skip


def host_device(*, link: str, mac: str) -> DevicePlan:
    """The machine that the rig runs on, in a flat network that is bridged to it."""
    return DevicePlan(HOST, mac, link, PortKind.TAP, HOST_IP, FLAT_PREFIX)


def _place(device: DevicePlan) -> dict[str, Any]:
    return {"mac": device.mac, "ip": device.ip, "prefix": device.prefix, "gateway": device.gateway}
