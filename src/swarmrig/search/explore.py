"""A whole search: the scenario as it is, the hunt, the files that tell what was found."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from swarmrig.errors import HostError
from swarmrig.model.scenario import Scenario
from swarmrig.model.verdict import EXIT_INTERRUPTED
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope, open_spawner
from swarmrig.reports.document import write_document
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import RunPlan, make_plan
from swarmrig.runtime.run import RunOptions, run
from swarmrig.runtime.tempo import EXACT
from swarmrig.runtime.warm import NotForkableError, refuse_unforkable
from swarmrig.search.coverage import Coverage
from swarmrig.search.crew import open_crew
from swarmrig.search.directory import FINDINGS, SearchDirectory, Settings
from swarmrig.search.findings import Finding
from swarmrig.search.guide import Guide
from swarmrig.search.hunt import Extent, Hunt, Listener, Progress
from swarmrig.search.log import RunLog, open_log
from swarmrig.search.observation import Observation, observed
from swarmrig.search.orders import Order
from swarmrig.search.schedule import Schedule
from swarmrig.search.space import Space, space_of
from swarmrig.search.times import Grid, grid_of
from swarmrig.search.written import module_path, scenario_path, write_finding
from swarmrig.suites.forks import estimated_fork_s
from swarmrig.timebase.stepping import Stepping

EXIT_FOUND, EXIT_NOTHING_TRIED = 2, 3
BASELINE = "baseline.json"


class BrokenAlreadyError(HostError):
    """A check does not hold even without the faults of the search."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How runs are made."""

    interrupt: anyio.Event
    stepping: Stepping = Stepping()
    skip_build: bool = False


@dataclass(frozen=True, slots=True)
class Explored:
    """What became of a search."""

    directory: Path
    space: Space
    baseline: Observation
    progress: Progress
    warnings: tuple[str, ...] = ()

    @property
    def nothing_tried(self) -> str | None:
        """Why "nothing found" would mean nothing; None when it means something."""
        progress = self.progress
        if progress.schedules == 0:
            return "no schedule was run"
        if progress.failed == progress.schedules:
            return f"every run failed, the first one with: {progress.why_failed}"
        if not progress.proved.total():
            return "no fault was seen to take effect"
        return None

    @property
    def exit_code(self) -> int:
        """2: something was found; 3: nothing could be tried; 130: interrupted; 0: nothing was found."""
        if self.progress.interrupted:
            return EXIT_INTERRUPTED
        if self.progress.findings:
            return EXIT_FOUND
        return EXIT_NOTHING_TRIED if self.nothing_tried else 0

    def as_json(self) -> dict[str, Any]:
        progress, space = self.progress, self.space
        return {
            "format": 1,
            "scenario": space.scenario.name,
            "tier": self.baseline.tier,
            "exit_code": self.exit_code,
            "interrupted": progress.interrupted,
            "nothing_tried": self.nothing_tried,
            "schedules": progress.schedules,
            "failed_schedules": progress.failed,
            "runs": progress.runs,
            "forked_runs": progress.forked,
            "elapsed_s": round(progress.elapsed_s, 3),
            "faults": {
                kind.name: {"tried": progress.done[kind.name], "proved": progress.proved[kind.name]}
                for kind in space.kinds
            },
            "left_out": dict(space.left_out),
            "coverage": {
                "features": progress.covered,
                "kept_schedules": progress.kept,
                "growth": [list(point) for point in progress.growth],
            },
            "baseline": {"digest": self.baseline.digest, "checks": dict(self.baseline.checks)},
            "warnings": list(self.warnings),
            "findings": [self._finding(finding) for finding in progress.findings],
        }

    def _finding(self, finding: Finding) -> Mapping[str, Any]:
        files = {
            "scenario": scenario_path(finding, Path()).name,
            "test": module_path(finding, Path()).name,
        }
        return finding.as_json() | files


async def explore(
    scenario: Scenario,
    registry: Registry,
    directory: SearchDirectory,
    extent: Extent,
    manner: Manner,
    listener: Listener,
) -> Explored:
    """Search, or go on with a search that was broken off. Raises ScenarioError for a scenario that is wrong,
    BrokenAlreadyError for one that fails by itself, HostError when there is nothing to try or no room for it."""
    settings = directory.settings
    plan = await make_plan(scenario, registry)
    grid = _grid(plan, settings)
    space = space_of(plan, registry, grid, kinds=settings.kinds, seeds=settings.seeds, most=settings.most)
    _see_to_checks(plan, frozenset(settings.checks))
    with directory.locked(), open_log(directory.path) as log, _workplace(directory):
        baseline = await _as_it_is(plan, directory, log, manner)
        if manner.interrupt.is_set():
            return Explored(directory.path, space, baseline, Progress(interrupted=True))
        order = _order(plan, space, baseline, directory, manner)
        guide = Guide(space, settings.seed, guided=settings.guided)
        guide.learn(Schedule((), scenario.seed), baseline)
        writer = _Writer(space, directory.path, listener)
        async with (
            open_spawner(RunScope(directory.path)) as spawner,
            open_crew(order, extent.jobs, spawner) as crew,
        ):
            hunt = Hunt(space, guide, crew, log, extent, directory.path, writer)
            progress = await hunt.conduct(manner.interrupt)
        explored = Explored(directory.path, space, baseline, progress, _warnings(plan))
        text = json.dumps(explored.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_document(directory.path / FINDINGS, text)
        return explored


def _grid(plan: RunPlan, settings: Settings) -> Grid:
    """HostError when there is no room for a fault."""
    try:
        return grid_of(plan.scenario.duration_ns, settings.from_ns, settings.until_ns)
    except ValueError as error:
        raise HostError(str(error), hint="a longer --duration, or other times with --from and --until") from error


def _see_to_checks(plan: RunPlan, wanted: frozenset[str]) -> None:
    labels = [check.spec.label for check in plan.checks]
    if missing := sorted(wanted - set(labels)):
        raise HostError(
            f"the scenario has no check {', '.join(missing)}", hint=f"its checks are {', '.join(labels) or 'none'}"
        )
    if not labels:
        raise HostError(f"{plan.scenario.source} has no checks to break", hint="add `checks:`")


def _warnings(plan: RunPlan) -> tuple[str, ...]:
    if plan.tier == EXACT:
        return ()
    why = "; ".join(plan.reasons)
    return (f"not in virtual time ({why}): runs take as long as they last, and may differ from each other",)


@contextmanager
def _workplace(directory: SearchDirectory) -> Iterator[None]:
    """Where runs are that nobody will look at; nothing of them stays."""
    shutil.rmtree(directory.work, ignore_errors=True)
    try:
        directory.work.mkdir(mode=0o700)
    except OSError as error:
        raise HostError(f"cannot make {directory.work}: {error.strerror}", hint="free some space") from error
    try:
        yield
    finally:
        shutil.rmtree(directory.work, ignore_errors=True)


async def _as_it_is(plan: RunPlan, directory: SearchDirectory, log: RunLog, manner: Manner) -> Observation:
    """The run without any fault of the search. BrokenAlreadyError when a check does not pass then; HostError when a
    search is to go on whose scenario behaves otherwise by now."""
    coverage = Coverage(plan.scenario)
    options = RunOptions(
        output_dir=directory.baseline,
        interrupt=manner.interrupt,
        skip_build=manner.skip_build,
        stepping=manner.stepping,
        witness=coverage.observe,
    )
    begun_s = time.monotonic()
    finished = await run(plan, options)
    wall_s = time.monotonic() - begun_s
    write_reports(finished.record, finished.directory)
    checks = frozenset(directory.settings.checks)
    baseline = observed(finished, coverage.features(), checks, wall_s, forked=False, kept=True)
    if finished.record.interrupted:
        return baseline
    unwell = [f"{label}: {outcome}" for label, outcome in baseline.checks.items() if outcome != "PASS"]
    if unwell or baseline.failures:
        raise BrokenAlreadyError(
            f"{plan.scenario.name} is broken without any fault: {'; '.join([*unwell, *baseline.failures])}",
            hint=f"see {finished.directory}; repair it first, or name the checks that hold with --check",
        )
    _see_that_it_is_the_same(baseline, directory, log)
    return baseline


def _see_that_it_is_the_same(baseline: Observation, directory: SearchDirectory, log: RunLog) -> None:
    """What a search remembers holds only for what it was made with."""
    path = directory.path / BASELINE
    if not path.exists():
        write_document(path, json.dumps(baseline.as_json()) + "\n")
        return
    former = Observation.from_json(json.loads(path.read_text(encoding="utf-8")))
    if len(log) and (former.digest, former.checks) != (baseline.digest, baseline.checks):
        raise HostError(
            f"the scenario runs otherwise than when {directory.path} was begun: the firmware or an emulator is another",
            hint="begin a new search",
        )


def _order(plan: RunPlan, space: Space, baseline: Observation, directory: SearchDirectory, manner: Manner) -> Order:
    return Order(
        scenario=str(directory.scenario),
        place=str(directory.work),
        checks=directory.settings.checks,
        fork_at_ns=_fork_at(plan, space, baseline),
        patience_s=manner.stepping.patience_s,
        quantum_ns=manner.stepping.quantum_ns,
    )


def _fork_at(plan: RunPlan, space: Space, baseline: Observation) -> int | None:
    """Where to keep a swarm warm, if that promises to be quicker than to boot: each worker then measures it."""
    try:
        refuse_unforkable(plan)
    except NotForkableError:
        return None
    guests = sum("CanSnapshot" in node.capabilities for node in plan.nodes)
    booting_s = baseline.wall_s * space.grid.first_ns / plan.scenario.duration_ns
    return space.grid.first_ns if booting_s > estimated_fork_s(guests) and not plan.faults else None


class _Writer:
    """Writes what is found down before anybody is told of it."""

    def __init__(self, space: Space, directory: Path, listener: Listener) -> None:
        self._space = space
        self._directory = directory
        self._listener = listener

    def progress(self, progress: Progress) -> None:
        """Nothing to write."""
        self._listener.progress(progress)

    def found(self, finding: Finding) -> None:
        """The best so far is on the disk, whatever happens next."""
        write_finding(finding, self._space.scenario, self._space.registry, self._directory)
        self._listener.found(finding)
