"""From a campaign's plan to its tasks: every scenario is loaded and planned with every variant before anything runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from swarmrig.campaigns.keys import content_of, key_of
from swarmrig.campaigns.needs import needs_of, timeout_of
from swarmrig.campaigns.plan import (
    CampaignPlan,
    Combination,
    combinations,
    is_excluded,
    matches,
    scenario_path,
    stem_of,
)
from swarmrig.campaigns.results import QuarantineUse
from swarmrig.campaigns.task import Resources, Task
from swarmrig.errors import HostError, Problem, ScenarioError, SwarmrigError, leaves_of
from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.proc import Spawner
from swarmrig.reports.page.words import counted
from swarmrig.runtime.firmware import build_firmware
from swarmrig.runtime.plan import RunPlan, plan_loaded
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.problems import Mark, listing
from swarmrig.scenario.quantities import safe_name

_LONGEST_ID = 120


@dataclass(frozen=True, slots=True)
class Planned:
    """A combination that can run."""

    combination: Combination
    time: str
    tier: str
    nodes: int
    resources: Resources
    timeout_s: float
    content: str
    """See `keys`."""
    seeds: tuple[int, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a campaign consists of."""

    planned: tuple[Planned, ...]
    tasks: tuple[Task, ...]
    quarantine: tuple[QuarantineUse, ...]
    warnings: tuple[str, ...]


async def prepare(
    plan: CampaignPlan,
    registry: Registry,
    *,
    spawner: Spawner | None = None,
    today: date | None = None,
    tell: Callable[[int], object] = lambda _count: None,
) -> Prepared:
    """Load and plan everything. Raises ScenarioError with all that is wrong, and with which variants, or HostError.

    With a spawner, firmware is built, each by its command once: runs then skip that. `tell` hears how many combinations
    are through.
    """
    found: list[Planned] = []
    wrong = _Wrong()
    builder = None if spawner is None else _Builder(spawner)
    for combination in combinations(plan):
        try:
            found.append(await _plan_one(plan, combination, registry, builder))
        except* SwarmrigError as group:
            for error in leaves_of(group):
                assert isinstance(error, SwarmrigError)
                wrong.add(combination, error)
        tell(len(found))
    wrong.raise_any()
    tasks, uses = quarantined(plan, tuple(tasks_of(plan, found)), today or date.today())
    return Prepared(tuple(found), tasks, uses, tuple(_warnings(found, uses)))


async def _plan_one(
    plan: CampaignPlan, combination: Combination, registry: Registry, builder: _Builder | None
) -> Planned:
    path = scenario_path(plan, combination.scenario)
    overrides = [(name.strip(), value) for name, _, value in (each.partition("=") for each in combination.settings)]
    load = partial(
        load_scenario, combination.scenario.run if path is None else path, registry=registry, overrides=overrides
    )
    if builder is not None:
        await builder.build(load())
    run_plan = await plan_loaded(load, registry)
    return _planned(plan, combination, run_plan, registry, plan.here if path is None else path.absolute().parent)


def _planned(
    plan: CampaignPlan, combination: Combination, run_plan: RunPlan, registry: Registry, here: Path
) -> Planned:
    entry, scenario = combination.scenario, run_plan.scenario
    seeds = combination.seeds or (scenario.seed,)
    return Planned(
        combination,
        scenario.time.value,
        run_plan.tier,
        len(scenario.nodes),
        needs_of(run_plan, (entry.resources, plan.values.resources)),
        timeout_of(run_plan, (entry.timeout, plan.values.timeout)),
        content_of(run_plan, registry, here),
        tuple(seed for seed in seeds if not is_excluded(plan, combination, seed)),
        run_plan.warnings,
    )


class _Builder:
    """Runs each build command once; two that make the same file would each spoil what the other has made."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._done: set[tuple[tuple[str, ...], Path | None]] = set()
        self._makers: dict[Path, tuple[str, ...]] = {}

    async def build(self, scenario: Scenario) -> None:
        for node in scenario.nodes:
            firmware = node.firmware
            if firmware.build is not None and firmware.image is not None:
                maker = self._makers.setdefault(firmware.image, firmware.build)
                if maker != firmware.build:
                    message = f"two commands build {firmware.image}: {' '.join(maker)} and {' '.join(firmware.build)}"
                    mark = Mark(scenario.source) if node.source is None else Mark(*astuple(node.source))
                    raise ScenarioError([mark.problem(message, "give each variant a file of its own")])
        await build_firmware(scenario, self._spawner, skip=False, done=self._done)


class _Wrong:
    """What stands in the way, each thing told once with the variants that have it."""

    def __init__(self) -> None:
        self._problems: dict[Problem, list[str]] = {}
        self._host: dict[str, HostError] = {}
        self._hint: str | None = None

    def add(self, combination: Combination, error: SwarmrigError) -> None:
        if isinstance(error, ScenarioError):
            self._hint = self._hint or error.hint
            for problem in error.problems:
                self._problems.setdefault(problem, []).append(combination.title)
        else:
            problem = Problem(error.message, hint=error.hint)
            self._problems.setdefault(problem, []).append(combination.title)
            if isinstance(error, HostError):
                self._host[error.message] = error

    def raise_any(self) -> None:
        if not self._problems:
            return
        if len(self._host) == len(self._problems):
            raise next(iter(self._host.values()))
        told = [replace(problem, message=_with(problem, titles)) for problem, titles in self._problems.items()]
        raise ScenarioError(told, hint=self._hint)


def _with(problem: Problem, titles: Sequence[str]) -> str:
    return f"{problem.message} [{listing(dict.fromkeys(titles), 3)}]"


def tasks_of(plan: CampaignPlan, planned: Iterable[Planned]) -> Iterator[Task]:
    """The tasks of these combinations, in file order; repetitions of a run behind each other."""
    drafts = [
        (each, seed, repetition)
        for each in planned
        for seed in each.seeds
        for repetition in range(1, plan.values.repetitions + 1)
    ]
    several = plan.values.repetitions > 1
    names = [_name(each.combination, seed, repetition if several else None) for each, seed, repetition in drafts]
    uses = Counter(names)
    for name, (each, seed, repetition) in zip(names, drafts, strict=True):
        combination = each.combination
        yield Task(
            id=name if uses[name] == 1 and len(name) <= _LONGEST_ID else _unique(name, combination, seed, repetition),
            key=key_of(each.content, seed),
            scenario=combination.scenario.run,
            variant=combination.variant,
            settings=combination.settings,
            seed=seed,
            repetition=repetition,
            resources=each.resources,
            timeout_s=each.timeout_s,
        )


def _name(combination: Combination, seed: int, repetition: int | None) -> str:
    words = [stem_of(combination.scenario.run), *combination.variant.values()]
    name = ".".join([*(safe_name(word) for word in words), f"s{seed}"])
    return name if repetition is None else f"{name}.r{repetition}"


def _unique(name: str, combination: Combination, seed: int, repetition: int) -> str:
    """Labels that differ in what a file's name cannot hold only."""
    what = repr((combination.scenario.run, tuple(combination.variant.items()), seed, repetition))
    return f"{name[: _LONGEST_ID - 9]}.{hashlib.sha256(what.encode()).hexdigest()[:8]}"


def quarantined(
    plan: CampaignPlan, tasks: tuple[Task, ...], today: date
) -> tuple[tuple[Task, ...], tuple[QuarantineUse, ...]]:
    """The tasks, those with their reason that do not count; the first entry that matches counts."""
    uses = []
    reasons: dict[str, str] = {}
    for entry in plan.values.quarantine:
        met = [task.id for task in tasks if matches(entry.match, task.scenario, task.variant, task.seed)]
        expired = entry.until is not None and entry.until < today
        until = None if entry.until is None else entry.until.isoformat()
        uses.append(QuarantineUse(entry.reason, until, expired, tuple(met)))
        if not expired:
            reasons = {**dict.fromkeys(met, entry.reason), **reasons}
    return tuple(replace(task, quarantine=reasons.get(task.id)) for task in tasks), tuple(uses)


def _warnings(planned: Iterable[Planned], uses: Iterable[QuarantineUse]) -> Iterator[str]:
    told: dict[str, list[str]] = {}
    for each in planned:
        for warning in each.warnings:
            told.setdefault(warning, []).append(each.combination.title)
    for warning, titles in told.items():
        yield f"{warning} [{listing(titles, 3)}]"
    for use in uses:
        if use.expired:
            runs = counted(len(use.tasks), "run")
            yield f"a quarantine has ended ({use.until}), counting again: {runs}: {use.reason}"
        elif not use.tasks:
            yield f"a quarantine matches no run: {use.reason}"


def part_of(tasks: Sequence[Task], shard: tuple[int, int] | None, only: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of a shard (K, N), and of those the ones whose id matches one of the patterns.

    Which shard a run is in follows from what it is called, not from the content of files, which may be built elsewhere
    on every machine. Repetitions stay together; shards differ by one group at most.
    """
    chosen = set(_groups(tasks)) if shard is None else set(_groups(tasks)[shard[0] - 1 :: shard[1]])
    return tuple(
        task
        for task in tasks
        if task.group in chosen and (not only or any(fnmatchcase(task.id, pattern) for pattern in only))
    )


def _groups(tasks: Sequence[Task]) -> list[tuple[str, tuple[tuple[str, str], ...], int]]:
    """Distinct groups in an order that mixes slow and quick ones."""
    groups = dict.fromkeys(task.group for task in tasks)
    return sorted(groups, key=lambda group: hashlib.sha256(repr(group).encode()).digest())
