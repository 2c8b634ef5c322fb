"""Which time a run has: virtual when every node can, paced when some can, else real; and then it says why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from swarmrig.errors import HostError
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import FailurePolicy, NetworkMode, NodeSpec, Scenario, TimeMode
from swarmrig.timebase.distance import least_latency_ns

EXACT = "exact"
"""The same file and seed give the same bytes."""
RECORDED = "recorded"
"""The same faults at the same times; each node of virtual time can be repeated exactly, from what it was given."""
SCHEDULED = "scheduled"
"""The same faults at the same times; the nodes run on this machine's clock."""

TIERS = {TimeMode.VIRTUAL: EXACT, TimeMode.PACED: RECORDED, TimeMode.REAL: SCHEDULED}


class Tempo(NamedTuple):
    """What was settled."""

    scenario: Scenario
    """With its time mode."""
    reasons: tuple[str, ...] = ()
    """Why it is not a better one."""
    outside: frozenset[str] = frozenset()
    """The nodes that live by this machine's clock, in paced time."""


async def settle_time(scenario: Scenario, backends: Mapping[str, Any]) -> Tempo:
    """Settle the time mode. HostError when one is asked for that cannot be had."""
    if scenario.time is TimeMode.REAL:
        return Tempo(scenario, ("the scenario asks for real time",))
    of_network = _of_network(scenario)
    outside = {node.id: reason for node in scenario.nodes if (reason := await _why_outside(node, backends))}
    of_nodes = [f"node {node}: {reason}" for node, reason in outside.items()]
    reasons = [*of_network, *_of_host(scenario), *of_nodes]
    if scenario.time is TimeMode.PACED:
        _refuse(TimeMode.PACED, of_network)
        return Tempo(scenario, tuple(reasons) or ("the scenario asks for paced time",), frozenset(outside))
    if not reasons:
        return Tempo(replace(scenario, time=TimeMode.VIRTUAL))
    if scenario.time is TimeMode.VIRTUAL:
        _refuse(TimeMode.VIRTUAL, reasons)
    told = tuple(f"no virtual time: {reason}" for reason in reasons)
    if of_network or len(outside) == len(scenario.nodes):
        return Tempo(replace(scenario, time=TimeMode.REAL), told)
    return Tempo(replace(scenario, time=TimeMode.PACED), told, frozenset(outside))


def seen_by(node: str, scenario: Scenario, outside: Collection[str]) -> Scenario:
    """The scenario as a node is told of it: in paced time, its own time is virtual or real."""
    if scenario.time is not TimeMode.PACED:
        return scenario
    return replace(scenario, time=TimeMode.REAL if node in outside else TimeMode.VIRTUAL)


def _refuse(time: TimeMode, reasons: Sequence[str]) -> None:
    if reasons:
        raise HostError(
            f"{time} time is not possible here:\n" + "\n".join(f"  {reason}" for reason in reasons),
            hint="repair that, or use `time: real`",
        )


def _of_network(scenario: Scenario) -> list[str]:
    """What keeps all nodes from virtual time."""
    reasons = []
    if scenario.network.mode is NetworkMode.USER:
        reasons.append(f"the network mode {scenario.network.mode} has no time but this machine's")
    if _instant(scenario.network.impairment) or any(_instant(link.impairment) for link in scenario.network.links):
        reasons.append("a link with a latency of 0 leaves nobody time to hear of anything: use 1us at least")
    return reasons


def _of_host(scenario: Scenario) -> list[str]:
    bridged = scenario.network.mode is NetworkMode.BRIDGE
    return ["this machine is part of a network of mode bridge, and has a time of its own"] if bridged else []


async def _why_outside(node: NodeSpec, backends: Mapping[str, Any]) -> str | None:
    """Why a node lives by this machine's clock in any case; None when it need not."""
    backend = backends[node.kind]
    ask = getattr(backend, "prevents_virtual_time", None)
    reason = await ask(node) if ask else f"nodes of kind {node.kind} do not say that they can"
    if reason is None and node.on_failure.policy is FailurePolicy.RESTART:
        exactly = getattr(backend, "restarts_exactly", False)
        reason = None if exactly else "when it is started again after a failure, depends on this machine's clock"
    return reason


def _instant(impairment: Impairment) -> bool:
    return least_latency_ns(impairment) == 0
