"""What faults say of each other: every id is there, nothing waits for itself, and only what lasts is healed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from swarmrig.model.scenario import FaultReached, FaultSpec
from swarmrig.model.triggers import HEAL, Trigger, TriggerError, trigger_of
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list


def check_across(specs: Sequence[FaultSpec], duration_ns: int, registry: Registry, problems: Problems) -> None:
    """Report what cannot be, of all faults of a file."""
    by_id: dict[str, FaultSpec] = {}
    for spec in specs:
        first = by_id.setdefault(spec.id, spec)
        if first is not spec:
            problems.add(_mark(spec), f"id: {spec.id!r} stands here for the second time (first: {first.source})")
    triggers = {spec.id: found for spec in specs if (found := _trigger(spec, by_id, duration_ns, problems))}
    healed: dict[str, FaultSpec] = {}
    for spec in specs:
        if spec.kind == HEAL:
            _check_heal(spec, by_id, triggers, healed, registry, problems)


def _trigger(spec: FaultSpec, by_id: Mapping[str, FaultSpec], duration_ns: int, problems: Problems) -> Trigger | None:
    """When the fault acts, if that can be told."""
    when = spec.when
    if isinstance(when, FaultReached) and _unknown(spec, when.fault, "when", by_id, problems):
        return None
    try:
        trigger = trigger_of(spec, by_id)
    except TriggerError as error:
        problems.add(_mark(spec), f"when: {error}")
        return None
    end_ns = trigger.after_ns + (spec.for_ns or 0)
    if spec.when is not None and trigger.seen is None and end_ns >= duration_ns:
        end, run = format_duration(end_ns), format_duration(duration_ns)
        what = "it would be due" if not spec.for_ns else "the fault would heal"
        problems.add(_mark(spec), f"when: {what} at {end}, not within the run of {run}")
    return trigger


def _unknown(spec: FaultSpec, name: str, key: str, by_id: Mapping[str, FaultSpec], problems: Problems) -> bool:
    if name in by_id:
        return False
    several = [other for other in by_id if other.startswith(f"{name}.")]
    if several:
        problems.add(
            _mark(spec), f"{key}: {shorten(name)} happens {len(several)} times", f"one of {', '.join(several[:5])}"
        )
    else:
        hint = partial(suggest_or_list, name, [other for other in by_id if other != spec.id])
        problems.add(_mark(spec), f"{key}: no fault is called {shorten(name)}", hint)
    return True


def _check_heal(
    spec: FaultSpec,
    by_id: Mapping[str, FaultSpec],
    triggers: Mapping[str, Trigger],
    healed: dict[str, FaultSpec],
    registry: Registry,
    problems: Problems,
) -> None:
    name = str(spec.params.get("fault"))
    if _unknown(spec, name, HEAL, by_id, problems):
        return
    target = by_id[name]
    if not getattr(registry.fault(target.kind), "heals", True):
        problems.add(_mark(spec), f"{HEAL}: {name} is over in an instant, there is nothing to heal")
    elif target.for_ns is not None:
        problems.add(
            _mark(spec), f"{HEAL}: {name} heals by itself after {format_duration(target.for_ns)}", "leave out its `for`"
        )
    first = healed.setdefault(name, spec)
    if first is not spec:
        problems.add(_mark(spec), f"{HEAL}: {name} is healed already by {first.id} ({first.source})")
    mine, theirs = triggers.get(spec.id), triggers.get(name)
    if mine and theirs and mine.seen == theirs.seen and mine.after_ns <= theirs.after_ns:
        problems.add(_mark(spec), f"{HEAL}: {name} is not in force yet", "heal it later than it begins")


def _mark(spec: FaultSpec) -> Mark:
    source = spec.source
    return Mark("<memory>") if source is None else Mark(source.file, source.line, source.column)
