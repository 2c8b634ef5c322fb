"""A plan for people and for machines: exactly what `run` would launch."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

from swarmrig.api import NodePlan
from swarmrig.cli.output import counted, harmless, jsonable
from swarmrig.model.scenario import CheckSpec
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.reports.picture.wires import describe_link
from swarmrig.runtime.plan import PlannedFault, RunPlan


def plan_json(plan: RunPlan) -> dict[str, Any]:
    """The plan as JSON values."""
    scenario = plan.scenario
    return {
        "name": scenario.name,
        "source": scenario.source,
        "dialect": scenario.dialect,
        "duration_s": scenario.duration_ns / NS_PER_S,
        "seed": scenario.seed,
        "time": scenario.time.value,
        "tier": plan.tier,
        "reasons": list(plan.reasons),
        "nodes": [_node_json(plan, node) for node in plan.nodes],
        "network": jsonable(plan.network),
        "faults": [_fault_json(fault) for fault in plan.faults],
        "checks": [
            {"name": check.spec.name, "label": check.spec.label, "params": jsonable(check.spec.params)}
            for check in plan.checks
        ],
        "warnings": list(plan.warnings),
    }


def plan_lines(plan: RunPlan) -> Iterator[str]:
    """The plan as text."""
    scenario = plan.scenario
    yield f"{scenario.name} ({scenario.source}, {scenario.dialect} format)"
    yield f"  {format_duration(scenario.duration_ns)} of {scenario.time.value} time, seed {scenario.seed}"
    yield f"  tier {plan.tier}{': ' if plan.reasons else ''}{'; '.join(plan.reasons)}"
    yield from _section("nodes", (line for node in plan.nodes for line in _node_lines(plan, node)))
    yield from _section(f"network: {scenario.network.topology.value}", _network_lines(plan))
    yield from _section("faults", (_fault_line(fault) for fault in plan.faults))
    yield from _section("checks", (_check_line(check.spec) for check in plan.checks))
    yield from _section("warnings", map(harmless, plan.warnings))


def outline(plan: RunPlan) -> Iterator[str]:
    """The plan in short: how long, from which seed, in which steps, who, and joined how."""
    scenario = plan.scenario
    network, link = scenario.network, scenario.network.impairment
    yield f"{scenario.name} ({scenario.source}, {scenario.dialect} format): nothing was launched"
    yield f"  duration  {format_duration(scenario.duration_ns)} of {scenario.time.value} time, tier {plan.tier}"
    yield f"  seed      {scenario.seed}"
    quantum = format_duration(network.quantum_ns) if network.quantum_ns else "none"
    yield f"  quantum   {quantum}: messages come {'at multiples of it' if network.quantum_ns else 'when they arrive'}"
    kinds = Counter(_described(node) for node in plan.nodes)
    yield f"  nodes     {len(plan.nodes)}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"
    others = f", {counted(len(network.links), 'link')} of their own" if network.links else ""
    yield f"  network   {network.topology.value}, {format_duration(link.latency_ns)} a link{others}"
    yield f"  and       {counted(len(plan.faults), 'fault')}, {counted(len(plan.checks), 'check')}"


def _described(node: NodePlan) -> str:
    model = node.details.get("model") if node.spec.kind == "python" else None
    return f"{model} ({node.spec.kind})" if model else node.spec.kind


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield title
    empty = True
    for line in lines:
        empty = False
        yield f"  {line}"
    if empty:
        yield "  none"


def _node_json(plan: RunPlan, node: NodePlan) -> dict[str, Any]:
    device = plan.network.device(node.spec.id)
    return {
        "id": node.spec.id,
        "number": node.spec.number,
        "kind": node.spec.kind,
        "machine": node.spec.machine,
        "role": node.spec.role.value,
        "mac": device.mac,
        "ip": device.ip,
        "link": device.link,
        "target_ip": plan.target_ip(node.spec),
        "command": _command(plan, node),
        "capabilities": sorted(node.capabilities),
        "details": jsonable(node.details),
        "build": list(node.spec.firmware.build or ()),
    }


def _node_lines(plan: RunPlan, node: NodePlan) -> Iterator[str]:
    spec, device = node.spec, plan.network.device(node.spec.id)
    yield f"{spec.id} (number {spec.number}): {spec.role.value}, {spec.kind} {spec.machine}, scenario {spec.scenario}"
    yield f"    {device.ip}/{device.prefix} {device.mac} on {device.link}, sends to {plan.target_ip(spec)}"
    for key, value in node.details.items():
        yield f"    {key}: {harmless(str(value))}"
    if spec.firmware.build:
        yield f"    $ {shlex.join(spec.firmware.build)}"
    if node.command:
        yield f"    $ {' '.join(map(_quoted, _command(plan, node)))}"


def _command(plan: RunPlan, node: NodePlan) -> list[str]:
    """The command as far as it is known before launch: places in the run directory stay `{placeholders}`."""
    mac = plan.network.device(node.spec.id).mac
    return [word.replace("{mac}", mac) for word in node.command]


def _quoted(word: str) -> str:
    """As a shell needs it, but with placeholders left readable."""
    bare = word.replace("{", "_").replace("}", "_")
    return word if shlex.quote(bare) == bare else shlex.quote(word)


def _network_lines(plan: RunPlan) -> Iterator[str]:
    network = plan.network
    hosted = [device for device in network.devices if device.factory is not None]
    for device in hosted:
        yield f"{device.name}: {device.ip}/{device.prefix} {device.mac} on {device.link} (built in)"
    for switch in network.switches:
        yield f"{switch.name}: switch"
    for router in network.routers:
        addresses = ", ".join(dict.fromkeys(f"{interface.ip}/{interface.prefix}" for interface in router.interfaces))
        yield f"{router.name}: router {addresses}"
    for link in network.links:
        yield f"{link.name}: {link.a} -- {link.b}: {describe_link(link)}"


def _fault_json(fault: PlannedFault) -> dict[str, Any]:
    spec = fault.spec
    return {
        "id": spec.id,
        "kind": spec.kind,
        "at_s": None if spec.at_ns is None else spec.at_ns / NS_PER_S,
        "when": None if spec.when is None else str(spec.when),
        "for_s": None if spec.for_ns is None else spec.for_ns / NS_PER_S,
        "required": spec.required,
        "params": jsonable(spec.params),
        "does": fault.description,
    }


def _fault_line(fault: PlannedFault) -> str:
    spec = fault.spec
    time = str(spec.when) if spec.at_ns is None else f"at {format_duration(spec.at_ns)}"
    time += "" if spec.for_ns is None else f" for {format_duration(spec.for_ns)}"
    optional = "" if spec.required else " (not required)"
    return harmless(f"{spec.id}: {time}: {fault.description}{optional}")


def _check_line(spec: CheckSpec) -> str:
    params = ", ".join(f"{key}={value!r}" for key, value in spec.params.items() if value is not None)
    return f"{spec.label} ({params})" if params else spec.label
