"""The section `checks`: what must hold, each item checked with the parameters of its own check."""

from __future__ import annotations

import re
from functools import partial

from swarmrig.model.scenario import CheckSpec
from swarmrig.plugins import Registry
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.plugin_params import bare_field, params_table, read_params
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, describe, is_null

_NUMBERED = re.compile(r"(fall_detected_by_node)_([0-9]{1,6})\Z")
"""Checks whose name ends in the number of a node."""
NUMBERED_TEMPLATE = "fall_detected_by_node_N"
NUMBERED_PATTERN = {"fall_detected_by_node": "^fall_detected_by_node_[0-9]+$"}


def read_checks(entry: Entry | None, fleet: Fleet, registry: Registry, problems: Problems) -> tuple[CheckSpec, ...]:
    """The checks in file order; a misspelt one is a problem with a suggestion, never skipped."""
    if entry is None or is_null(entry.value):
        return ()
    tree, word = entry.value, entry.label
    if not isinstance(tree, Items):
        problems.add(tree.mark, f"{word}: expected a list, seen {describe(tree)}")
        return ()
    found: list[CheckSpec] = []
    for item in tree.items:
        for label, mark, value in _named(item, word, problems):
            spec = _check(label, mark, value, fleet, registry, problems)
            if spec is not None:
                found.append(spec)
    return tuple(found)


def _named(item: Tree, word: str, problems: Problems) -> list[tuple[str, Mark, Tree | None]]:
    """Name, its place, and what stands behind it."""
    if isinstance(item, Scalar) and isinstance(item.value, str):
        return [(item.value, item.mark, None)]
    if isinstance(item, Table) and len(item.entries) == 1:
        return [(key, entry.mark, entry.value) for key, entry in item]
    seen = "a mapping of several keys" if isinstance(item, Table) and item.entries else describe(item)
    message = f"{word}: expected the name of a check, or `name: parameters`, seen {seen}"
    problems.add(item.mark, message, "each is an item of its own: begin its line with '-'")
    return []


def _check(
    label: str, mark: Mark, value: Tree | None, fleet: Fleet, registry: Registry, problems: Problems
) -> CheckSpec | None:
    name, number = _split(label)
    known = registry.names("checks")
    if name not in known:
        words = [*known, *([NUMBERED_TEMPLATE] if "fall_detected_by_node" in known else [])]
        problems.add(mark, f"unknown check {shorten(label)}", partial(suggest_or_list, label, words))
        return None
    model = registry.check(name).params_model
    table = params_table(value, label, mark, model, problems)
    if table is None:
        return None
    bare = bare_field(model)
    if number is not None and bare is not None:
        if bare in table.entries:
            problems.add(table.place(bare), f"{label}: the name says already which node")
            return None
        table = table.with_value(bare, Scalar(number, mark, str(number))).relabelled(bare, label)
    params = read_params(table, label, model, fleet, problems)
    return None if params is None else CheckSpec(name, label, params, mark.ref)


def _split(label: str) -> tuple[str, int | None]:
    match = _NUMBERED.match(label)
    return (match[1], int(match[2])) if match else (label, None)
