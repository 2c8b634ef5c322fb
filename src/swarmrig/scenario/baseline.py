"""`--baseline RUN`: compare a run with a former one, whatever the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarmrig.scenario.problems import Mark
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, is_null, located

COMPARISON = "compared_to"
"""The check that compares."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A former run, and by how much each metric may be worse than there; without any, the check's own choice."""

    run: Path
    tolerances: Mapping[str, str] = field(default_factory=dict)


def with_baseline(tree: Table, baseline: Baseline | None) -> Table:
    """The tree with every comparison made with this run; with one more check when the file has none."""
    if baseline is None:
        return tree
    mark = Mark(f"--baseline {baseline.run}")
    given: dict[str, Any] = {"run": str(baseline.run.absolute())}
    if baseline.tolerances:
        given["metrics"] = dict(baseline.tolerances)
    checks = tree.get("checks")
    if checks is not None and not is_null(checks) and not isinstance(checks, Items):
        return tree  # what is wrong with it is told by who reads it
    items = [_compared(item, given, mark) for item in (checks.items if isinstance(checks, Items) else ())]
    if not any(_is_comparison(item) for item in items):
        items.append(located({COMPARISON: given}, mark))
    return tree.with_value("checks", Items(tuple(items), checks.mark if checks is not None else mark))


def _is_comparison(item: Tree) -> bool:
    return isinstance(item, Table) and list(item.entries) == [COMPARISON]


def _compared(item: Tree, given: Mapping[str, Any], mark: Mark) -> Tree:
    """A comparison of the file keeps its own metrics, unless the command line gives some."""
    if isinstance(item, Scalar) and item.value == COMPARISON:
        return Table({COMPARISON: Entry(item.mark, located(dict(given), mark), COMPARISON)}, item.mark)
    if not isinstance(item, Table) or not _is_comparison(item):
        return item
    entry = item.entries[COMPARISON]
    params = entry.value if isinstance(entry.value, Table) else Table({}, entry.mark)
    for key, value in given.items():
        params = params.with_value(key, located(value, mark), mark)
    return replace(item, entries={COMPARISON: replace(entry, value=params)})
