"""What the runs of a plan need of a machine, unless the campaign file says otherwise."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

from swarmrig.campaigns.native import ResourcesEntry
from swarmrig.campaigns.task import Resources
from swarmrig.model.scenario import TimeMode
from swarmrig.runtime.plan import RunPlan

MIB = 1 << 20
RIG_MIB = 96
"""The rig itself with its network and its guardian."""
SMALL_NODE_MIB = 8
"""A node whose backend declares no memory: a Python model, a program."""
VIRTUAL_TIMEOUT_S = 600.0
CONTAINER, VM = "container", "vm"


def needs_of(plan: RunPlan, said: Iterable[ResourcesEntry]) -> Resources:
    """The first of `said` that says something wins, then what follows from the plan.

    In virtual time nodes take turns: one core. By the machine's clock every second node of a kind that is a process has
    one, but no more than there are here: a scenario that runs by hand runs in a campaign.
    """
    found = {"cores": _cores(plan), "memory": _memory_mib(plan) * MIB, "kvm": _kvm(plan), "docker": _docker(plan)}
    for entry in reversed(list(said)):
        found |= {name: value for name, value in entry.model_dump().items() if value is not None}
    memory_mib = math.ceil(found["memory"] / MIB)
    return Resources(float(found["cores"]), memory_mib, bool(found["kvm"]), bool(found["docker"]))


def timeout_of(plan: RunPlan, said_ns: Iterable[int | None]) -> float:
    """Seconds: the first that was said, else ten minutes, and where the machine's clock counts the duration, too."""
    for each in said_ns:
        if each is not None:
            return each / 1e9
    by_clock = plan.scenario.time is not TimeMode.VIRTUAL
    return VIRTUAL_TIMEOUT_S + (plan.scenario.duration_ns / 1e9 if by_clock else 0.0)


def _cores(plan: RunPlan) -> float:
    if plan.scenario.time is TimeMode.VIRTUAL:
        return 1.0
    processes = sum(bool(node.command) for node in plan.nodes)
    return float(min(max(1, math.ceil(processes / 2)), len(os.sched_getaffinity(0))))


def _memory_mib(plan: RunPlan) -> int:
    return RIG_MIB + sum(math.ceil(node.memory_bytes / MIB) or SMALL_NODE_MIB for node in plan.nodes)


def _kvm(plan: RunPlan) -> bool:
    return any(node.kind == VM and node.options.get("accel") == "kvm" for node in plan.scenario.nodes)


def _docker(plan: RunPlan) -> bool:
    return any(node.kind == CONTAINER for node in plan.scenario.nodes)
