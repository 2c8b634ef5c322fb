"""`--set path=value`: change one value of the tree before it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swarmrig.scenario.located import Limits, parse_option
from swarmrig.scenario.problems import Mark, Problems, listing, shorten, suggest_or_list
from swarmrig.scenario.tree import Items, Table, Tree, describe, is_null

_OPTION_LIMITS = Limits(size_bytes=1 << 16, depth=16, values=2000)
_CLOSED = frozenset({"nodes"})
"""Tables whose keys are the author's: an override changes one, a misspelt one must not make another."""


def apply_overrides(tree: Table, overrides: Sequence[tuple[str, str]], problems: Problems) -> Table:
    """The tree with each `(path, value)` set. A path is keys and list indexes with dots: `nodes.s1.config.channel`."""
    for path, text in overrides:
        mark = Mark(f"--set {path}={text if len(text) <= 60 else text[:59] + '…'}")
        value = parse_option(text, mark.file, problems, _OPTION_LIMITS)
        steps = path.split(".")
        if not all(steps):
            problems.add(mark, f"expected keys and indexes with dots between, seen {shorten(path)}")
        elif value is not None:
            changed = _set(tree, steps, 0, value, mark, problems)
            tree = changed if isinstance(changed, Table) else tree
    return tree


def _set(tree: Tree, steps: list[str], index: int, value: Tree, mark: Mark, problems: Problems) -> Tree:
    if index == len(steps):
        return value
    step, at = steps[index], ".".join(steps[:index]) or "the file"
    if isinstance(tree, Items):
        return _set_item(tree, steps, index, value, mark, problems)
    if is_null(tree):
        tree = Table({}, mark)
    if not isinstance(tree, Table):
        problems.add(mark, f"{at} is {describe(tree)}, it has no {shorten(step)}")
        return tree
    if step not in tree.entries and index and steps[index - 1] in _CLOSED:
        known = list(tree.entries)
        problems.add(mark, f"{at} has no {shorten(step)}", suggest_or_list(step, known))
        return tree
    below = tree.get(step) or Table({}, mark)
    changed = _set(below, steps, index + 1, value, mark, problems)
    return tree.with_value(step, changed, mark if index + 1 == len(steps) or step not in tree.entries else None)


def _set_item(tree: Items, steps: list[str], index: int, value: Tree, mark: Mark, problems: Problems) -> Tree:
    step, at = steps[index], ".".join(steps[:index]) or "the file"
    if not (step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(tree.items)):
        indexes = listing([str(number) for number in range(len(tree.items))])
        problems.add(mark, f"{at} is a list and has no {shorten(step)}", f"indexes: {indexes}" if indexes else None)
        return tree
    items = list(tree.items)
    items[int(step)] = _set(items[int(step)], steps, index + 1, value, mark, problems)
    return replace(tree, items=tuple(items))
