"""Are the machines of a cluster the same, and what is lacking? No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from swarmrig.campaigns.cluster_link import Machine, dask_resources, told
from swarmrig.campaigns.sameness import differing_inputs
from swarmrig.campaigns.task import Task
from swarmrig.errors import HostError
from swarmrig.nodes.qemu.architectures import PREFIX
from swarmrig.nodes.qemu.machines import MACHINES

HERE = "here"
"""Name of the campaigner among the machines."""
SHOWN_VALUES = 3


def refuse_uncovered(address: str, tasks: Iterable[Task], machines: Mapping[str, Machine]) -> None:
    """HostError when there are tasks for which no worker declares enough."""
    if not machines:
        raise HostError(f"the scheduler at {address} has no workers", hint=f"dask worker {address} --resources cores=2")
    lacking: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        need = dask_resources(task.resources)
        if not any(machine.covers(need) for machine in machines.values()):
            lacking[told(need)].append(task.id)
    if not lacking:
        return
    need_text, ids = next(iter(lacking.items()))
    who = f"{ids[0]} needs" if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more need"
    have = "; ".join(sorted({declared(machine) for machine in machines.values()}))
    raise HostError(
        f"no worker of {address} offers {need_text}, which {who}: they offer {have}",
        hint=f'dask worker {address} --resources "{need_text}"',
    )


def declared(machine: Machine) -> str:
    """What a worker offers."""
    return " ".join(f"{name}={amount:g}" for name, amount in sorted(machine.resources.items())) or "nothing"


def refuse_other_versions(here: str, versions: Mapping[str, str]) -> None:
    """HostError when a worker has another version of the rig, or none. What is no version says why."""
    wrong = {worker: found for worker, found in versions.items() if found != here}
    if wrong:
        worker, found = next(iter(wrong.items()))
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise HostError(
            f"worker {worker} has swarmrig {found}, this is {here}{more}",
            hint=f"pip install 'swarmrig[cluster]=={here}' in the environment of each worker, and start it again",
        )


def differences_between(surveys: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One line for everything of which the machines have not all the same. What the campaigner has not got, or has
    another one of, matters only when it is the rig's own: it runs nothing."""
    own = surveys.get(HERE, {})
    others = {name: facts for name, facts in surveys.items() if name != HERE}
    compared = {HERE: {name: value for name, value in own.items() if not _runs(name)}} if own else {}
    names = {name for facts in others.values() for name in facts}
    lines = []
    for name in sorted(names):
        group = {who: {name: facts.get(name, "not there")} for who, facts in others.items()}
        if HERE in compared and name in compared[HERE]:
            group[HERE] = {name: compared[HERE][name]}
        for values in differing_inputs(group).values():
            lines.append(f"{name} differs: " + "; ".join(f"{value} on {_who(who)}" for value, who in values.items()))
    return lines


def _runs(name: str) -> bool:
    return name.startswith((PREFIX, "lockstep", "processor"))


def _who(workers: tuple[str, ...]) -> str:
    more = f" and {len(workers) - SHOWN_VALUES} more" if len(workers) > SHOWN_VALUES else ""
    return ", ".join(workers[:SHOWN_VALUES]) + more


def emulator_of(kind: str, machine: str, options: Mapping[str, object]) -> str | None:
    """The name of the emulator that a node's machine is run by; None when it is no QEMU, or one that is named by its
    path."""
    chosen = options.get("machine_binary")
    if chosen is not None:
        name = str(chosen)
        return name if "/" not in name else None
    known = MACHINES.get(machine)
    architecture = (known.architecture if known is not None else "") or options.get("arch")
    return f"{PREFIX}{architecture}" if kind == "qemu" and architecture else None
