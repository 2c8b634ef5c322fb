"""Two or more Python nodes on one switch, in an engine of their own, without processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.model.network import DevicePlan, Impairment, LinkPlan, NetworkPlan, PortKind, SwitchPlan
from swarmrig.net.directory import Directory
from swarmrig.net.engine import Engine

S = 1_000_000_000
MS = 1_000_000


def ip_of(number: int) -> str:
    return f"10.0.1.{10 + number}"


def wired(
    nodes: Mapping[str, Callable[[str, Mapping[str, Any]], Any]],
    impairment: Impairment = Impairment(),
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 1,
    captures: Mapping[str, Any] | None = None,
    **config: Any,
) -> Engine:
    """Nodes by name, each from its class; every link has the impairment."""
    devices = []
    for number, name in enumerate(nodes):
        mac = f"02:00:00:00:00:{number:02x}"
        own = {"mac": mac, "ip": ip_of(number), "seed": seed, "settings": (settings or {}).get(name, {}), **config}
        devices.append(DevicePlan(name, mac, f"lan--{name}", PortKind.PYTHON, ip_of(number), factory="x:y", config=own))
    links = tuple(LinkPlan(f"lan--{name}", "lan", name, impairment, impairment) for name in nodes)
    plan = NetworkPlan(seed, tuple(devices), links, (SwitchPlan("lan"),))
    directory = Directory.of_plan(plan)

    def make(device: DevicePlan) -> Any:
        return nodes[device.name](device.name, {**device.config, "directory": directory})

    return Engine(plan, make_node=make, captures=captures)


def node_of(engine: Engine, name: str) -> Any:
    """The node itself."""
    return engine.nodes[name]._node


def failures(engine: Engine) -> list[str]:
    return [node.failure for node in engine.nodes.values() if node.failure is not None]
