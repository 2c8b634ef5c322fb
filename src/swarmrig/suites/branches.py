"""The faults of a scenario one at a time: each with those that heal it or wait for it, on a swarm that is else well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarmrig.model.scenario import CheckSpec, FaultReached, FaultSpec, Scenario
from swarmrig.model.triggers import HEAL, trigger_of
from swarmrig.model.units import format_duration

NAME_LIMIT = 64
"""Of a scenario's name, see model.scenario."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One run of a sweep: what goes wrong in it."""

    name: str
    """Of its first fault."""
    faults: tuple[FaultSpec, ...]
    acts_ns: int | None
    """When the first of them acts; None: when something is seen, and who waits for that counts from the beginning."""

    def obstacle(self, at_ns: int) -> str | None:
        """Why it can't be forked from a swarm that is at `at_ns`."""
        if self.acts_ns is None:
            return "what it waits to see is counted from the beginning"
        if self.acts_ns < at_ns:
            return f"it acts at {format_duration(self.acts_ns)}, before the fork at {format_duration(at_ns)}"
        return None


def branches_of(scenario: Scenario) -> tuple[Branch, ...]:
    """In the order of the file."""
    groups: list[list[FaultSpec]] = []
    for spec in scenario.faults:
        joined = [group for group in groups if any(_belong_together(spec, other) for other in group)]
        apart = [group for group in groups if not any(group is other for other in joined)]
        groups = [*apart, [*(other for group in joined for other in group), spec]]
    place = {spec.id: number for number, spec in enumerate(scenario.faults)}
    return tuple(_branch(group) for group in sorted(groups, key=lambda group: place[group[0].id]))


def _belong_together(a: FaultSpec, b: FaultSpec) -> bool:
    return a.id in _refers_to(b) or b.id in _refers_to(a)


def _refers_to(spec: FaultSpec) -> set[str]:
    """Other faults without which it is nothing."""
    names = {str(spec.params.get("fault"))} if spec.kind == HEAL else set()
    if isinstance(spec.when, FaultReached):
        names.add(spec.when.fault)
    return names


def _branch(faults: Sequence[FaultSpec]) -> Branch:
    specs = {spec.id: spec for spec in faults}
    triggers = [trigger_of(spec, specs) for spec in faults]
    timed = all(trigger.seen is None for trigger in triggers)
    return Branch(faults[0].id, tuple(faults), min(trigger.after_ns for trigger in triggers) if timed else None)


def with_branch(scenario: Scenario, branch: Branch) -> Scenario:
    """The scenario with these faults only, and without checks that speak of others."""
    absent = {spec.id for spec in scenario.faults} - {spec.id for spec in branch.faults}
    checks = tuple(check for check in scenario.checks if not _names(check) & absent)
    name = f"{scenario.name}-{branch.name}"[:NAME_LIMIT]
    return replace(scenario, name=name, faults=branch.faults, checks=checks)


def _names(check: CheckSpec) -> set[str]:
    return {value for value in check.params.values() if isinstance(value, str)}
