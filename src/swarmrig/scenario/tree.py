"""The located tree: values of a YAML document, each with the place where it was written. Immutable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from swarmrig.scenario.problems import Mark, shorten


@dataclass(frozen=True, slots=True)
class Scalar:
    value: str | int | float | bool | None
    mark: Mark
    text: str = ""
    """As written, before the schema gave it a type."""


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML sequence."""

    items: tuple[Tree, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table and its value. `label` is the key as its author knows it, for messages."""

    mark: Mark
    value: Tree
    label: str


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; keys are their texts."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    mark: Mark = Mark("<memory>")

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return iter(self.entries.items())

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return entry.value if entry else None

    def place(self, key: str) -> Mark:
        """Where the key stands; the table itself when it does not have it."""
        entry = self.entries.get(key)
        return entry.mark if entry else self.mark

    def only(self, keys: frozenset[str] | set[str]) -> Table:
        return replace(self, entries={key: entry for key, entry in self if key in keys})

    def without(self, keys: frozenset[str] | set[str]) -> Table:
        return replace(self, entries={key: entry for key, entry in self if key not in keys})

    def with_value(self, key: str, value: Tree, mark: Mark | None = None) -> Table:
        """A copy with this key set; it keeps the place of the key it replaces unless `mark` is given."""
        old = self.entries.get(key)
        entry = Entry(mark or (old.mark if old else value.mark), value, old.label if old else key)
        return replace(self, entries={**self.entries, key: entry})

    def relabelled(self, key: str, label: str) -> Table:
        """A copy in which messages call this key by the word that its author used."""
        return replace(self, entries={**self.entries, key: replace(self.entries[key], label=label)})


Tree = Scalar | Items | Table


def plain(tree: Tree) -> Any:
    """The values alone: dict, list, str, int, float, bool, None."""
    if isinstance(tree, Table):
        return {key: plain(entry.value) for key, entry in tree}
    if isinstance(tree, Items):
        return [plain(item) for item in tree.items]
    return tree.value


def located(value: Any, mark: Mark) -> Tree:
    """The inverse of `plain`, all of it at one place."""
    if isinstance(value, dict):
        return Table({key: Entry(mark, located(item, mark), key) for key, item in value.items()}, mark)
    if isinstance(value, list | tuple):
        return Items(tuple(located(item, mark) for item in value), mark)
    return Scalar(value, mark, str(value))


def is_null(tree: Tree | None) -> bool:
    return tree is None or (isinstance(tree, Scalar) and tree.value is None)


def overlay(under: Table, over: Table) -> Table:
    """`over` on top of `under`: tables merge key by key, everything else is replaced; null says nothing."""
    entries = dict(under.entries)
    for key, entry in over:
        below = under.get(key)
        if is_null(entry.value) and below is not None:
            continue
        if isinstance(entry.value, Table) and isinstance(below, Table):
            entry = replace(entry, value=overlay(below, entry.value))
        entries[key] = entry
    return Table(entries, over.mark)


def describe(tree: Tree | None) -> str:
    """What stands there, for `expected …, seen …`."""
    if tree is None or is_null(tree):
        return "nothing"
    if isinstance(tree, Table):
        return "a mapping"
    if isinstance(tree, Items):
        return "a list"
    if isinstance(tree.value, bool):
        return str(tree.value).lower()
    if isinstance(tree.value, str):
        return shorten(tree.value)
    return shorten(tree.text or str(tree.value)).strip("'")
