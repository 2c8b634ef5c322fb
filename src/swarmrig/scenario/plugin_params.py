"""Parameters of checks and faults: read with the plugin's own model, references to nodes checked here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from swarmrig.scenario.explain import checked
from swarmrig.scenario.firmware import absolute
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list
from swarmrig.scenario.tree import Items, Scalar, Table, Tree, describe, is_null

_NODE_KEYS = ("node", "nodes", "between")
"""Parameters that name nodes, by convention."""
_FILE_KEYS = ("file", "run")
"""Parameters that name a file (or a finished run), by convention: the path starts at the scenario file, and is absolute
in the model."""
_PLACES = frozenset({"aggregator", "lan"})
"""What `between` may name besides nodes."""


def params_table(
    tree: Tree | None, label: str, place: Mark, model: type[BaseModel], problems: Problems
) -> Table | None:
    """The parameters as a table: a plain value fills the model's `bare` field. `place` is where the name stands.

    None when a plain value is given and nothing takes it (then it is reported).
    """
    if tree is None or is_null(tree):
        return Table({}, place)
    if isinstance(tree, Table):
        return tree
    bare = bare_field(model)
    if bare is None:
        hint = f"parameters: {', '.join(model.model_fields)}" if model.model_fields else "it takes no parameters"
        problems.add(tree.mark, f"{label}: expected a mapping of parameters, seen {describe(tree)}", hint)
        return None
    return Table({}, tree.mark).with_value(bare, tree).relabelled(bare, label)


def bare_field(model: type[BaseModel]) -> str | None:
    """The field that a plain value fills."""
    bare = getattr(model, "bare", None)
    return bare if isinstance(bare, str) else None


def read_params(
    table: Table, label: str, model: type[BaseModel], fleet: Fleet, problems: Problems
) -> dict[str, Any] | None:
    """The dump of the plugin's model; None when the parameters do not make one (then it is reported)."""
    before = len(problems)
    found = checked(model, table, problems, name=label)
    check_references(table, fleet, problems)
    return None if found is None or len(problems) > before else _with_absolute_files(found.model_dump(), table)


def _with_absolute_files(params: dict[str, Any], table: Table) -> dict[str, Any]:
    for key in _FILE_KEYS:
        entry = table.entries.get(key)
        if entry is not None and isinstance(params.get(key), str):
            mark = entry.value.mark
            directory = Path(mark.file).parent if mark.line is not None else Path()
            params = {**params, key: str(absolute(params[key], directory))}
    return params


def check_references(table: Table, fleet: Fleet, problems: Problems) -> None:
    """See that nodes named by the keys node, nodes and between are there."""
    for key in _NODE_KEYS:
        entry = table.entries.get(key)
        if entry is None:
            continue
        values = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
        for value in values:
            if isinstance(value, Scalar):
                _check_reference(value, entry.label, fleet, _PLACES if key == "between" else frozenset(), problems)


def _check_reference(value: Scalar, label: str, fleet: Fleet, places: frozenset[str], problems: Problems) -> None:
    known = value.value
    if isinstance(known, str) and known not in fleet.ids and known not in places:
        problems.add(
            value.mark, f"{label}: no node is called {shorten(known)}", partial(suggest_or_list, known, fleet.ids)
        )
    elif type(known) is int and fleet.complete and known not in fleet.numbers:
        numbers = ", ".join(map(str, sorted(fleet.numbers)[:12]))
        problems.add(value.mark, f"{label}: no node has the number {known}", f"numbers of nodes: {numbers}")
