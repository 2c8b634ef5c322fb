"""Which time a run has: virtual when everything can, else real, and then it says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarmrig.errors import HostError
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import FailurePolicy, NetworkMode, Scenario, TimeMode
from swarmrig.timebase.distance import least_latency_ns

EXACT = "exact"
"""The same file and seed give the same bytes."""
SCHEDULED = "scheduled"
"""The same faults at the same times; the nodes run on this machine's clock."""


async def settle_time(scenario: Scenario, backends: Mapping[str, Any]) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with its time mode settled, and why it is not virtual. HostError when virtual time is asked for
    and cannot be had."""
    if scenario.time is TimeMode.REAL:
        return scenario, ("the scenario asks for real time",)
    reasons = await _obstacles(scenario, backends)
    if not reasons:
        return replace(scenario, time=TimeMode.VIRTUAL), ()
    if scenario.time is TimeMode.VIRTUAL:
        raise HostError(
            "virtual time is not possible here:\n" + "\n".join(f"  {reason}" for reason in reasons),
            hint="repair that, or use `time: real`",
        )
    return replace(scenario, time=TimeMode.REAL), tuple(f"no virtual time: {reason}" for reason in reasons)


async def _obstacles(scenario: Scenario, backends: Mapping[str, Any]) -> list[str]:
    reasons = []
    if scenario.network.mode is not NetworkMode.FABRIC:
        reasons.append(f"the network mode {scenario.network.mode} has no time but this machine's")
    if _instant(scenario.network.impairment) or any(_instant(link.impairment) for link in scenario.network.links):
        reasons.append("a link with a latency of 0 leaves nobody time to hear of anything: use 1us at least")
    for node in scenario.nodes:
        ask = getattr(backends[node.kind], "prevents_virtual_time", None)
        reason = await ask(node) if ask else f"nodes of kind {node.kind} do not say that they can"
        if reason is not None:
            reasons.append(f"node {node.id}: {reason}")
        elif node.on_failure.policy is FailurePolicy.RESTART and not getattr(
            backends[node.kind], "restarts_exactly", False
        ):
            reasons.append(f"node {node.id}: when it is started again after a failure, depends on this machine's clock")
    return reasons


def _instant(impairment: Impairment) -> bool:
    return least_latency_ns(impairment) == 0
