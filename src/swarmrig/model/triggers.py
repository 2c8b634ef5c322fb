"""When faults act: conditions upon other faults are traced back to a time, or to something that must be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import REACTION_NS, FaultReached, FaultSpec, Seen

HEAL = "heal"
"""The kind of fault that heals another one, named by its parameter `fault`."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """At `after_ns` of run time; with `seen`, so long after that was seen."""

    after_ns: int
    seen: Seen | None = None
    follows: FaultReached | None = None
    """What must have been reached by then."""

    def later(self, ns: int, follows: FaultReached) -> Trigger:
        return replace(self, after_ns=self.after_ns + ns, follows=follows)


class TriggerError(ValueError):
    """A condition upon another fault that can never be met; the message says why."""


def trigger_of(spec: FaultSpec, specs: Mapping[str, FaultSpec], _path: tuple[str, ...] = ()) -> Trigger:
    """When the fault acts. TriggerError when it waits for what is not there, never happens, or waits for itself."""
    if spec.id in _path:
        raise TriggerError(f"{' waits for '.join((*_path[_path.index(spec.id) :], spec.id))}")
    if spec.at_ns is not None:
        return Trigger(spec.at_ns)
    when = spec.when
    assert when is not None
    if not isinstance(when, FaultReached):
        return Trigger(max(when.after_ns, REACTION_NS), when)
    path = (*_path, spec.id)
    if when.fault not in specs:
        raise TriggerError(f"there is no fault {when.fault!r}")
    target = specs[when.fault]
    if when.stage is not FaultStage.HEALED:
        return trigger_of(target, specs, path).later(when.after_ns, when)
    if target.for_ns is not None:
        return trigger_of(target, specs, path).later(target.for_ns + when.after_ns, when)
    healer = healer_of(target.id, specs)
    if healer is None:
        raise TriggerError(f"{target.id} never heals")
    return trigger_of(healer, specs, path).later(when.after_ns, when)


def healer_of(fault: str, specs: Mapping[str, FaultSpec]) -> FaultSpec | None:
    """The item that heals this fault, if there is one."""
    return next((spec for spec in specs.values() if spec.kind == HEAL and spec.params.get("fault") == fault), None)


def acting_order(specs: Sequence[FaultSpec]) -> list[FaultSpec]:
    """File order, but everything after what it waits for: so they act when it is one and the same time."""
    by_id = {spec.id: spec for spec in specs}
    ordered: dict[str, FaultSpec] = {}
    visiting: set[str] = set()

    def visit(spec: FaultSpec) -> None:
        if spec.id in ordered or spec.id in visiting:
            return
        visiting.add(spec.id)
        for other in _needed(spec, by_id):
            visit(other)
        ordered[spec.id] = spec

    for spec in specs:
        visit(spec)
    return list(ordered.values())


def _needed(spec: FaultSpec, by_id: Mapping[str, FaultSpec]) -> list[FaultSpec]:
    """What must have acted before, when both are due at the same time."""
    needed = [str(spec.params.get("fault"))] if spec.kind == HEAL else []
    if isinstance(spec.when, FaultReached):
        needed.append(spec.when.fault)
        healer = healer_of(spec.when.fault, by_id) if spec.when.stage is FaultStage.HEALED else None
        needed += [healer.id] if healer is not None else []
    return [by_id[name] for name in needed if name in by_id]
