"""A campaign as its file wants it, and the combinations of scenario and variant that follow; no I/O."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from pathlib import Path

from swarmrig.campaigns.native import INCLUDED, SCENARIO, SEED, CampaignFile, ScenarioEntry
from swarmrig.campaigns.seeds import Seeds, parse_seeds
from swarmrig.reports.page.words import counted

FIRMWARE = "firmware"
_PLAIN = re.compile(r"[\w./-]+")


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """A campaign file that can be used."""

    file: str
    """As the user named it."""
    here: Path
    """What its paths are relative to."""
    text: str
    name: str
    values: CampaignFile


@dataclass(frozen=True, slots=True)
class Combination:
    """A scenario with one value of every axis."""

    scenario: ScenarioEntry
    variant: Mapping[str, str]
    settings: tuple[str, ...]
    seeds: Seeds | None
    """None: the scenario's own."""

    @property
    def title(self) -> str:
        """For messages."""
        labels = ", ".join(f"{axis} {label}" for axis, label in self.variant.items())
        return f"{self.scenario.run} ({labels})" if labels else self.scenario.run


@dataclass(frozen=True, slots=True)
class Size:
    """How many runs a file multiplies to, before anything is left out."""

    runs: int
    factors: str


def size_of(values: CampaignFile) -> Size:
    """Counted without making a single one."""
    axes = {axis: len(labels) for axis, labels in values.matrix.items()}
    seeds = {entry.run: _seed_count(entry.seeds or values.seeds) for entry in values.scenarios}
    runs = sum(seeds.values()) * prod(axes.values())
    distinct = set(seeds.values())
    factors = [counted(len(seeds), "scenario")]
    factors += [f"{count} of {axis}" for axis, count in axes.items()]
    if len(distinct) == 1:
        factors.append(counted(distinct.pop(), "seed"))
    else:
        factors[0] = f"{sum(seeds.values())} seeds of {factors[0]}"
    included = sum(
        _seed_count(include.seeds or entry.seeds or values.seeds)
        for include in values.include
        for entry in values.scenarios
        if include.scenarios is None or entry.run in include.scenarios
    )
    text = " × ".join(factors) + (f" + {included} included" if included else "")
    if values.repetitions > 1:
        text = f"({text}) × {values.repetitions} repetitions"
    return Size((runs + included) * values.repetitions, text)


def _seed_count(seeds: Seeds | None) -> int:
    return seeds.count if seeds is not None else 1


def combinations(plan: CampaignPlan) -> Iterator[Combination]:
    """In file order: each scenario with the whole matrix, then with what is included."""
    values = plan.values
    for entry in values.scenarios:
        common = (*values.overrides, *entry.overrides)
        seeds = entry.seeds or values.seeds
        for labels in product(*values.matrix.values()):
            variant = dict(zip(values.matrix, labels, strict=True))
            if any(SEED not in match and matches(match, entry.run, variant, 0) for match in values.exclude):
                continue
            chosen = [_settings(plan, entry, axis, values.matrix[axis][label]) for axis, label in variant.items()]
            yield Combination(entry, variant, (*common, *(each for value in chosen for each in value)), seeds)
        for include in values.include:
            if include.scenarios is None or entry.run in include.scenarios:
                settings = (*common, *include.overrides)
                yield Combination(entry, {INCLUDED: include.label}, settings, include.seeds or seeds)


def is_excluded(plan: CampaignPlan, combination: Combination, seed: int) -> bool:
    """Whether this seed of a combination is left out. What is included is."""
    return INCLUDED not in combination.variant and any(
        matches(match, combination.scenario.run, combination.variant, seed) for match in plan.values.exclude
    )


def matches(match: Mapping[str, tuple[str, ...]], scenario: str, variant: Mapping[str, str], seed: int) -> bool:
    """Does everything fit that a `match` names? Labels may be patterns (`*`, `?`)."""
    return all(_fits(name, wanted, scenario, variant, seed) for name, wanted in match.items())


def _fits(name: str, wanted: tuple[str, ...], scenario: str, variant: Mapping[str, str], seed: int) -> bool:
    if name == SEED:
        return any(seed in each for text in wanted for each in seeds_of(text).ranges)
    found = [scenario, stem_of(scenario)] if name == SCENARIO else [variant[name]] if name in variant else []
    return any(text == pattern or fnmatchcase(text, pattern) for text in found for pattern in wanted)


def seeds_of(text: str) -> Seeds:
    """The seeds of one text: `7` or `1..20`. ValueError."""
    return parse_seeds(int(text) if text.isascii() and text.isdigit() else text)


def stem_of(scenario: str) -> str:
    """A scenario's name without directory and suffix."""
    return Path(scenario).name.split(".")[0]


def scenario_path(plan: CampaignPlan, entry: ScenarioEntry) -> Path | None:
    """The file of a scenario; None for a preset."""
    path = plan.here / entry.run
    named = "/" in entry.run or entry.run.lower().endswith((".yml", ".yaml"))
    return path if named or path.is_file() else None


def _settings(plan: CampaignPlan, entry: ScenarioEntry, axis: str, value: tuple[str, ...]) -> tuple[str, ...]:
    """Of one label. A firmware's path is relative to the campaign file, settings' paths are to the scenario's."""
    if axis != FIRMWARE:
        return value
    path = scenario_path(plan, entry)
    directory = plan.here if path is None else path.absolute().parent
    return tuple(each if "=" in each else _firmware(os.path.relpath(plan.here / each, directory)) for each in value)


def _firmware(path: str) -> str:
    return f"defaults.firmware.image={path if _PLAIN.fullmatch(path) else json.dumps(path)}"
