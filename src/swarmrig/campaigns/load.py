"""A campaign file to its plan: every problem is reported, each with its place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from swarmrig.campaigns.native import INCLUDED, SCENARIO, SEED, CampaignFile
from swarmrig.campaigns.plan import FIRMWARE, CampaignPlan, seeds_of, size_of, stem_of
from swarmrig.errors import ScenarioError
from swarmrig.scenario.explain import checked
from swarmrig.scenario.located import parse, read_text
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list
from swarmrig.scenario.quantities import safe_name
from swarmrig.scenario.tree import Items, Table, Tree, describe


def load_campaign(path: Path) -> CampaignPlan:
    """The plan of a campaign file. Raises ScenarioError with every problem."""
    return load_campaign_text(read_text(path, str(path)), str(path), path.absolute().parent)


def load_campaign_text(text: str, file: str, here: Path) -> CampaignPlan:
    """As `load_campaign`, for a text whose paths are relative to `here`."""
    problems = Problems()
    tree = parse(text, file, problems)
    problems.raise_any()
    if not isinstance(tree, Table) or "campaign" not in tree.entries:
        seen = "another mapping" if isinstance(tree, Table) else "nothing" if tree is None else describe(tree)
        raise ScenarioError([Mark(file, 1, 1).problem(f"expected a mapping with `campaign: 1`, seen {seen}")])
    values = checked(CampaignFile, tree, problems)
    if values is not None:
        _check(values, tree, problems)
    problems.raise_any()
    assert values is not None
    name = values.name or safe_name(Path(file).name.split(".")[0])
    return CampaignPlan(file, here, text, name, values)


def _check(values: CampaignFile, tree: Table, problems: Problems) -> None:
    """What goes across sections."""
    _check_scenarios(values, tree, problems)
    _check_matrix(values, tree, problems)
    for number, match in enumerate(values.exclude):
        _check_match(match, values, _at(tree, "exclude", number), problems, included=False)
    for number, entry in enumerate(values.quarantine):
        _check_match(entry.match, values, _at(tree, "quarantine", number, "match"), problems, included=True)
    for number, include in enumerate(values.include):
        known = [entry.run for entry in values.scenarios]
        for scenario in include.scenarios or ():
            if scenario not in known:
                mark = _mark(_at(tree, "include", number), "scenarios", tree)
                problems.add(mark, f"there is no scenario {shorten(scenario)}", suggest_or_list(scenario, known))
    labels = Counter(include.label for include in values.include)
    for label in (label for label, count in labels.items() if count > 1):
        problems.add(tree.place("include"), f"two of them are called {shorten(label)}")
    size = size_of(values)
    if size.runs > values.limit:
        message = f"this is {size.runs} runs ({size.factors}), more than the limit of {values.limit}"
        problems.add(tree.mark, message, "leave something out, or raise it: `limit: N`")


def _check_scenarios(values: CampaignFile, tree: Table, problems: Problems) -> None:
    names = Counter(entry.run for entry in values.scenarios)
    for name in (name for name, count in names.items() if count > 1):
        problems.add(tree.place("scenarios"), f"{shorten(name)} is there twice", "vary it by the matrix, or by seeds")


def _check_matrix(values: CampaignFile, tree: Table, problems: Problems) -> None:
    for axis, labels in values.matrix.items():
        mark = _mark(_at(tree, "matrix"), axis, tree)
        if axis in (SCENARIO, SEED, INCLUDED):
            problems.add(mark, f"an axis cannot be called {axis!r}", "it is a word of the format itself")
        for label, settings in labels.items():
            for setting in settings:
                if axis != FIRMWARE and not setting.partition("=")[1]:
                    problems.add(mark, f"{axis} {label}: expected path=value, seen {shorten(setting)}")


def _check_match(
    match: dict[str, tuple[str, ...]], values: CampaignFile, tree: Tree | None, problems: Problems, *, included: bool
) -> None:
    """Names and labels that nothing has would silently match nothing."""
    known: dict[str, list[str]] = {axis: list(labels) for axis, labels in values.matrix.items()}
    known[SCENARIO] = [name for entry in values.scenarios for name in (entry.run, stem_of(entry.run))]
    if included and values.include:
        known[INCLUDED] = [include.label for include in values.include]
    for name, wanted in match.items():
        mark = _mark(tree, name, tree)
        if name == SEED:
            _check_seeds(wanted, mark, problems)
        elif name not in known:
            problems.add(mark, f"there is no axis {shorten(name)}", suggest_or_list(name, [*known, SEED]))
        else:
            for label in wanted:
                if label not in known[name] and not set(label) & set("*?["):
                    problems.add(mark, f"{name} has no {shorten(label)}", suggest_or_list(label, known[name]))


def _check_seeds(wanted: tuple[str, ...], mark: Mark, problems: Problems) -> None:
    for text in wanted:
        try:
            seeds_of(text)
        except ValueError as error:
            problems.add(mark, f"seed: {error}, seen {shorten(text)}")


def _at(tree: Tree | None, *steps: str | int) -> Tree | None:
    """The part of the tree at these keys and positions, None when there is none."""
    for step in steps:
        if isinstance(tree, Table) and isinstance(step, str):
            tree = tree.get(step)
        elif isinstance(tree, Items) and isinstance(step, int) and step < len(tree.items):
            tree = tree.items[step]
        else:
            return None
    return tree


def _mark(tree: Tree | None, key: str, otherwise: Tree | None) -> Mark:
    if isinstance(tree, Table):
        return tree.place(key)
    found = tree or otherwise
    assert found is not None
    return found.mark
