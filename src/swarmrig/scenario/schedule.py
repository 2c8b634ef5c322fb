"""The section `faults`: what goes wrong and when. Repetition, choice, jitter and groups become single faults here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from swarmrig.model.scenario import FaultSpec
from swarmrig.plugins import Registry
from swarmrig.scenario import choices
from swarmrig.scenario.choices import Choice
from swarmrig.scenario.cross_references import check_across
from swarmrig.scenario.explain import checked, hint_for_key
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.native import FaultEntry
from swarmrig.scenario.occurrences import Occurrence, Times, jittered
from swarmrig.scenario.plugin_params import params_table, read_params
from swarmrig.scenario.problems import Mark, Problems, shorten
from swarmrig.scenario.quantities import DurationNs
from swarmrig.scenario.tree import Entry, Items, Table, Tree, describe, is_null, plain

TOGETHER = "together"
_OWN_KEYS = frozenset(FaultEntry.model_fields)
_MEMBER_KEYS = frozenset({"id", "required"})
_DURATION: TypeAdapter[int] = TypeAdapter(DurationNs)
_EXAMPLE = "for example {at: 20s, cut: {between: [a, b], for: 5s}}"


def read_faults(
    tree: Tree | None, fleet: Fleet, duration_ns: int, seed: int, registry: Registry, problems: Problems
) -> tuple[FaultSpec, ...]:
    """The faults in file order. Whether the network has what they touch is the plan's question."""
    if tree is None or is_null(tree):
        return ()
    if not isinstance(tree, Items):
        problems.add(tree.mark, f"faults: expected a list, seen {describe(tree)}")
        return ()
    before = len(problems)
    reader = _Reader(fleet, duration_ns, seed, registry, problems)
    specs = tuple(spec for index, item in enumerate(tree.items, 1) for spec in reader.read(item, index))
    if len(problems) == before:  # else a fault that could not be read would seem not to be there
        check_across(specs, duration_ns, registry, problems)
    return specs


@dataclass(frozen=True, slots=True)
class _Member:
    """A fault of an item, as written: its parameters may still be a choice."""

    kind: str
    model: Any
    params: Table
    choices: dict[str, Choice]
    for_ns: int | None
    id: str
    required: bool
    mark: Mark


class _Reader:
    def __init__(self, fleet: Fleet, duration_ns: int, seed: int, registry: Registry, problems: Problems) -> None:
        self._fleet = fleet
        self._seed = seed
        self._registry = registry
        self._problems = problems
        self._times = Times(fleet, duration_ns, problems)

    def read(self, item: Tree, index: int) -> list[FaultSpec]:
        """All occurrences of an item."""
        if not isinstance(item, Table):
            message = f"faults: expected `at: TIME` and a fault, seen {describe(item)}"
            self._problems.add(item.mark, message, _EXAMPLE)
            return []
        before = len(self._problems)
        entry = checked(FaultEntry, item.only(_OWN_KEYS), self._problems) or FaultEntry.model_validate({})
        members, choice = self._members(item, entry, index)
        longest_ns = max((member.for_ns or 0 for member in members), default=0)
        occurrences = self._times.occurrences(entry, item, longest_ns)
        for member in members:
            if member.for_ns is not None:
                place = member.params.get("for") or member.params
                self._times.check_healing(occurrences, entry.jitter, member.for_ns, place.mark)
        if len(self._problems) > before:
            return []
        seed = f"{self._seed} {entry.id or index}"
        return [
            self._spec(members[number], occurrence, seed)
            for occurrence in jittered(occurrences, entry.jitter, seed)
            for number in _present(choice, len(members), f"{seed} choose {occurrence.number}")
        ]

    def _members(self, item: Table, entry: FaultEntry, index: int) -> tuple[list[_Member], Choice | None]:
        """The faults of an item, and the choice among them if it is one."""
        rest = item.without(_OWN_KEYS)
        group = next((key for key in (TOGETHER, choices.KEY) if key in rest.entries), None)
        if group is None:
            found = self._member(item.without(_OWN_KEYS - _MEMBER_KEYS), entry, f"{index}", None)
            return ([] if found is None else [found]), None
        for key, other in rest:
            if key != group:
                self._problems.add(other.mark, f"{key}: stands beside `{group}`", "put it into that list")
        return self._group(group, rest.entries[group].value, entry, index)

    def _group(self, key: str, tree: Tree, entry: FaultEntry, index: int) -> tuple[list[_Member], Choice | None]:
        choice = choices.read_choice(tree, self._problems) if key == choices.KEY else None
        items: tuple[Tree, ...] = choice.options if choice is not None else ()
        if isinstance(tree, Items) and tree.items:
            items = tree.items
        elif key == TOGETHER:
            self._problems.add(tree.mark, f"{key}: expected a list of faults, seen {describe(tree)}")
        numbered = choice is None or choice.count is not None
        members = []
        for number, item in enumerate(items, 1):
            if isinstance(item, Table):
                suffix = f".{number}" if numbered else ""
                members.append(self._member(item, entry, f"{index}{suffix}", f"{entry.id}{suffix}"))
            else:
                hint = "for example {cut: {between: [a, b]}}"
                self._problems.add(item.mark, f"{key}: expected faults, seen {describe(item)}", hint)
        return [member for member in members if member is not None], choice

    def _member(self, item: Table, entry: FaultEntry, index: str, label: str | None) -> _Member | None:
        """One fault, read and checked with all values that it may have. In a group, `label` follows from its id."""
        own = checked(FaultEntry, item.only(_MEMBER_KEYS), self._problems) or entry
        kind = self._kind(item.without(_MEMBER_KEYS), label is not None)
        if kind is None:
            return None
        name, value = kind
        model = self._registry.fault(name).params_model
        params = params_table(value.value, name, value.mark, model, self._problems)
        if params is None:
            return None
        found = choices.choices_in(params, self._problems)
        durations = [self._for(variant, name) for variant in choices.variants(params, found)]
        for variant in choices.variants(params, found):
            self._values(variant, name, model)
        derived = label if label is not None and entry.id is not None else f"{name}-{index}"
        required = own.required if "required" in item.entries else entry.required
        longest = max((ns for ns in durations if ns is not None), default=None)
        return _Member(name, model, params, found, longest, own.id or derived, required, value.mark)

    def _kind(self, rest: Table, in_group: bool) -> tuple[str, Entry] | None:
        known = self._registry.names("faults")
        kinds = [(key, entry) for key, entry in rest if key in known]
        for key, entry in rest:
            if key in _OWN_KEYS and in_group:
                self._problems.add(entry.mark, f"{key}: is said once, for the whole group", f"put {key} beside it")
            elif key not in known:
                words = [*known, *(_MEMBER_KEYS if in_group else _OWN_KEYS | {TOGETHER, choices.KEY})]
                self._problems.add(
                    entry.mark, f"unknown fault or key {shorten(key)}", partial(hint_for_key, key, words)
                )
        if len(kinds) > 1:
            names = " and ".join(key for key, _ in kinds)
            hint = "begin another item with '-', or list them in `together`"
            self._problems.add(kinds[1][1].mark, f"one fault at a time, seen {names}", hint)
            return None
        if not kinds and not rest.entries:
            self._problems.add(rest.mark, "says when, but not what goes wrong", f"faults: {', '.join(known)}")
        return kinds[0] if kinds else None

    def _for(self, table: Table, kind: str) -> int | None:
        """How long the fault lasts; None is for good."""
        tree = table.get("for")
        if tree is None or is_null(tree):
            return None
        if not getattr(self._registry.fault(kind), "heals", True):
            message = f"for: {kind} is over in an instant, it does not last"
            self._problems.add(tree.mark, message, "leave it out")
            return None
        try:
            value = _DURATION.validate_python(plain(tree))
        except ValidationError as error:
            reason = error.errors()[0].get("ctx", {}).get("error") or "expected a duration such as 5s"
            seen = "" if "got" in str(reason) else f", seen {describe(tree)}"
            self._problems.add(tree.mark, f"for: {reason}{seen}")
            return None
        if value == 0:
            self._problems.add(tree.mark, "for: expected more than 0", "leave it out for a fault that does not heal")
        return value

    def _values(self, params: Table, kind: str, model: Any) -> dict[str, Any] | None:
        inner = params if "for" in model.model_fields else params.without({"for"})
        return read_params(inner, kind, model, self._fleet, self._problems)

    def _spec(self, member: _Member, occurrence: Occurrence, seed: str) -> FaultSpec:
        chance = random.Random(f"{seed} {member.id} {occurrence.number}")
        params = choices.with_drawn(member.params, member.choices, chance)
        values = self._values(params, member.kind, member.model)
        name = member.id if occurrence.number is None else f"{member.id}.{occurrence.number}"
        return FaultSpec(
            id=name,
            kind=member.kind,
            at_ns=occurrence.at_ns,
            for_ns=self._for(params, member.kind),
            params=values or {},
            source=member.mark.ref,
            when=occurrence.when,
            required=member.required,
        )


def _present(choice: Choice | None, members: int, seed: str) -> Iterator[int]:
    """Indexes of the faults that happen this time."""
    yield from range(members) if choice is None else choice.drawn(random.Random(seed))
