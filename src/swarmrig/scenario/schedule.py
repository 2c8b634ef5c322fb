"""The section `faults`: what goes wrong and when."""

from __future__ import annotations

from functools import partial

from pydantic import TypeAdapter, ValidationError

from swarmrig.model.scenario import FaultSpec
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.scenario.explain import checked, hint_for_key
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.native import RESERVED, FaultEntry
from swarmrig.scenario.plugin_params import params_table, read_params
from swarmrig.scenario.problems import Mark, Problems, shorten
from swarmrig.scenario.quantities import DurationNs
from swarmrig.scenario.tree import Entry, Items, Table, Tree, describe, is_null, plain

_OWN_KEYS = frozenset(FaultEntry.model_fields)
_DURATION: TypeAdapter[int] = TypeAdapter(DurationNs)


def read_faults(
    tree: Tree | None, fleet: Fleet, duration_ns: int, registry: Registry, problems: Problems
) -> tuple[FaultSpec, ...]:
    """The faults in file order. Whether the network has what they touch is the plan's question."""
    if tree is None or is_null(tree):
        return ()
    if not isinstance(tree, Items):
        problems.add(tree.mark, f"faults: expected a list, seen {describe(tree)}")
        return ()
    reader = _Reader(fleet, duration_ns, registry, problems)
    specs = [reader.read(item, index) for index, item in enumerate(tree.items, 1)]
    return tuple(spec for spec in specs if spec is not None)


class _Reader:
    def __init__(self, fleet: Fleet, duration_ns: int, registry: Registry, problems: Problems) -> None:
        self._fleet = fleet
        self._duration_ns = duration_ns
        self._registry = registry
        self._problems = problems

    def read(self, item: Tree, index: int) -> FaultSpec | None:
        if not isinstance(item, Table):
            message = f"faults: expected `at: TIME` and a fault, seen {describe(item)}"
            self._problems.add(item.mark, message, "for example {at: 20s, cut: {between: [a, b], for: 5s}}")
            return None
        reserved = frozenset(RESERVED) & frozenset(item.entries)
        for key in reserved:
            self._problems.add(item.place(key), f"{key}: {RESERVED[key]} is not yet supported")
        own = item.only(_OWN_KEYS)
        timing = checked(FaultEntry, own, self._problems) if not reserved or "at" in own.entries else None
        kind = self._kind(item.without(_OWN_KEYS | reserved))
        if kind is None:
            return None
        name, entry = kind
        return self._spec(name, entry, timing, item, index)

    def _kind(self, rest: Table) -> tuple[str, Entry] | None:
        known = self._registry.names("faults")
        kinds = [(key, entry) for key, entry in rest if key in known]
        for key, entry in rest:
            if key not in known:
                hint = partial(hint_for_key, key, [*known, *_OWN_KEYS])
                self._problems.add(entry.mark, f"unknown fault or key {shorten(key)}", hint)
        if len(kinds) > 1:
            names = " and ".join(key for key, _ in kinds)
            self._problems.add(kinds[1][1].mark, f"one fault at a time, seen {names}", "begin another item with '-'")
            return None
        if not kinds and not rest.entries:
            self._problems.add(rest.mark, "says when, but not what goes wrong", f"faults: {', '.join(known)}")
        return kinds[0] if kinds else None

    def _spec(self, kind: str, entry: Entry, timing: FaultEntry | None, item: Table, index: int) -> FaultSpec | None:
        model = self._registry.fault(kind).params_model
        table = params_table(entry.value, kind, entry.mark, model, self._problems)
        if table is None:
            return None
        for_ns = self._for(table)
        inner = table if "for" in model.model_fields else table.without({"for"})
        params = read_params(inner, kind, model, self._fleet, self._problems)
        if timing is None or params is None:
            return None
        self._check_times(timing.at, for_ns, item, table)
        return FaultSpec(f"{kind}-{index}", kind, timing.at, for_ns, params, entry.mark.ref)

    def _for(self, table: Table) -> int | None:
        """How long the fault lasts; None is for good."""
        tree = table.get("for")
        if tree is None or is_null(tree):
            return None
        try:
            value = _DURATION.validate_python(plain(tree))
        except ValidationError as error:
            reason = error.errors()[0].get("ctx", {}).get("error") or "expected a duration such as 5s"
            self._problems.add(
                tree.mark, f"for: {reason}" + ("" if "got" in str(reason) else f", seen {describe(tree)}")
            )
            return None
        if value == 0:
            self._problems.add(tree.mark, "for: expected more than 0", "leave it out for a fault that does not heal")
        return value

    def _check_times(self, at_ns: int, for_ns: int | None, item: Table, table: Table) -> None:
        """A fault that cannot happen, or whose healing cannot be seen, proves nothing."""
        run = format_duration(self._duration_ns)
        if at_ns >= self._duration_ns:
            self._late(item, "at", f"at: {format_duration(at_ns)} is not within the run of {run}")
        elif for_ns is not None and at_ns + for_ns >= self._duration_ns:
            end = format_duration(at_ns + for_ns)
            self._late(table, "for", f"for: the fault would heal at {end}, not within the run of {run}")

    def _late(self, table: Table, key: str, message: str) -> None:
        value = table.get(key)
        mark: Mark = value.mark if value is not None else table.mark
        self._problems.add(mark, message, "give the run a longer duration, or the fault an earlier time")
