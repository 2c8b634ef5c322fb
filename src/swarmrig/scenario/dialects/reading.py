"""What converters of foreign formats share: values move to native keys and keep their places and their names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

from swarmrig.scenario.explain import hint_for_key
from swarmrig.scenario.problems import Problems, shorten
from swarmrig.scenario.tree import Scalar, Table, Tree, describe, is_null


def section(tree: Tree | None, name: str, problems: Problems) -> Table:
    """A mapping; an empty one for nothing, and, reported, for anything else."""
    if isinstance(tree, Table):
        return tree
    if tree is not None and not is_null(tree):
        problems.add(tree.mark, f"{name}: expected a mapping, seen {describe(tree)}")
    return Table({}, tree.mark) if tree is not None else Table()


def with_value(native: Table, key: str, source: Table, theirs: str, value: Tree) -> Table:
    """Set a native key, known to messages by the word of the source."""
    return native.with_value(key, value, source.place(theirs)).relabelled(key, theirs)


def warn_unknown(table: Table, known: Iterable[str], problems: Problems) -> None:
    """Unknown keys of the file; one that `--set` brought is a mistake of the command line."""
    names = tuple(known)
    for key, entry in table:
        if key in names:
            continue
        hint = partial(hint_for_key, key, names)
        if entry.mark.line is None:
            problems.add(entry.mark, f"unknown key {shorten(key)}", hint)
        else:
            problems.warn(entry.mark, f"unknown key {shorten(key)} is ignored", hint)


def number(table: Table, key: str, problems: Problems, *, more_than: float | None = None) -> Scalar | None:
    """A number that is at least 0, or more than `more_than`; None when there is none, or (reported) another value."""
    tree = table.get(key)
    if tree is None or is_null(tree):
        return None
    value = tree.value if isinstance(tree, Scalar) else None
    wanted = "a number of at least 0" if more_than is None else f"a number of more than {more_than:g}"
    right = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if right and (value >= 0 if more_than is None else value > more_than):  # type: ignore[operator]
        assert isinstance(tree, Scalar)
        return tree
    problems.add(tree.mark, f"{key}: expected {wanted}, seen {describe(tree)}")
    return None
