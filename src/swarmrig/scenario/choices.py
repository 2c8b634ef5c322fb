"""`choose`: one of several values, or some of them, drawn from the seed; the file says all, a run has some."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from swarmrig.scenario.explain import checked
from swarmrig.scenario.native import Section
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.quantities import Integer
from swarmrig.scenario.tree import Items, Table, Tree, describe

KEY = "choose"


class ChoiceCount(Section):
    count: Integer = Field(1, ge=1, description="How many of them.")


@dataclass(frozen=True, slots=True)
class Choice:
    """What stands behind a key `choose`."""

    options: tuple[Tree, ...]
    count: int | None
    """None: exactly one, which stands for itself; else so many, as a list."""
    mark: Mark

    def drawn(self, chance: random.Random) -> list[int]:
        """Indexes of options, in the order of the file."""
        return sorted(chance.sample(range(len(self.options)), self.count or 1))

    def value(self, indexes: Sequence[int]) -> Tree:
        if self.count is None:
            return self.options[indexes[0]]
        return Items(tuple(self.options[index] for index in indexes), self.mark)

    def alternatives(self) -> Iterator[Tree]:
        """Values that together have every option in them."""
        size = self.count or 1
        for start in range(0, len(self.options), size):
            yield self.value(range(len(self.options))[max(0, min(start, len(self.options) - size)) :][:size])


def read_choice(tree: Tree, problems: Problems) -> Choice | None:
    """A list of options, or `{of: [...], count: N}`; what is wrong is reported."""
    of: Tree | None = tree
    count = None
    if isinstance(tree, Table):
        of = tree.get("of")
        settings = checked(ChoiceCount, tree.without({"of"}), problems, also_known=["of"], name=KEY)
        if "count" in tree.entries:
            count = settings.count if settings is not None else 1
    if not isinstance(of, Items) or not of.items:
        place = of.mark if of is not None else tree.mark
        problems.add(place, f"{KEY}: expected a list to choose from, seen {describe(of)}", "for example [a, b, c]")
        return None
    if count is not None and count > len(of.items):
        problems.add(tree.mark, f"{KEY}: expected at most {len(of.items)}, as many as there are, seen {count}")
        return None
    return Choice(of.items, count, tree.mark)


def choices_in(params: Table, problems: Problems) -> dict[str, Choice]:
    """The parameters that are a choice: `node: {choose: [a, b]}`."""
    found = {}
    for key, entry in params:
        value = entry.value
        if isinstance(value, Table) and list(value.entries) == [KEY]:
            choice = read_choice(value.entries[KEY].value, problems)
            if choice is not None:
                found[key] = choice
    return found


def with_drawn(params: Table, choices: dict[str, Choice], chance: random.Random) -> Table:
    """The parameters of one occurrence."""
    for key, choice in choices.items():
        params = params.with_value(key, choice.value(choice.drawn(chance)))
    return params


def variants(params: Table, choices: dict[str, Choice]) -> Iterator[Table]:
    """Parameters in which together every option occurs, for checking all of them whatever is drawn."""
    first = params
    for key, choice in choices.items():
        first = first.with_value(key, next(choice.alternatives()))
    yield first
    for key, choice in choices.items():
        for value in list(choice.alternatives())[1:]:
            yield first.with_value(key, value)
