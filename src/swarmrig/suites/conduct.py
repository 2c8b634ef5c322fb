"""A suite's run from plan to verdict: build, every scenario as often as wanted, manifest, summary and reports."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anyio

from swarmrig.errors import HostError
from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.reports.document import write_document
from swarmrig.runtime.directory import now_text
from swarmrig.suites.directory import SuiteDirectory, locked
from swarmrig.suites.junit import junit
from swarmrig.suites.manifest import (
    REPETITION,
    Row,
    append_row,
    columns,
    cut_unfinished,
    manifest_text,
    read_manifest,
)
from swarmrig.suites.plan import ScenarioPlan, SuitePlan
from swarmrig.suites.processes import Outcome, run_processes
from swarmrig.suites.statistics import statistics
from swarmrig.suites.summary import (
    OverRuns,
    RunFacts,
    ScenarioVerdict,
    differences,
    judge_row,
    over_runs,
    required_columns,
    summarize,
    summary_text,
)
from swarmrig.suites.swarms import load_swarm, run_swarm
from swarmrig.suites.variables import filled

BUILD_DEADLINE_S = 1800.0


class SuiteObserver(Protocol):
    """What a viewer of a suite in progress is told."""

    def on_start(self, scenario_id: str, repetition: int) -> None: ...

    def on_verdict(self, verdict: ScenarioVerdict, repetition: int) -> None: ...

    def on_warning(self, text: str) -> None: ...


class Unobserved:
    """An observer that does not look."""

    def on_start(self, scenario_id: str, repetition: int) -> None: ...

    def on_verdict(self, verdict: ScenarioVerdict, repetition: int) -> None: ...

    def on_warning(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """How to run a suite."""

    jobs: int | None = None
    """How many scenarios at a time; None: one, or as many as there are cores when the file says `parallel`."""
    observer: SuiteObserver = field(default_factory=Unobserved)
    interrupt: anyio.Event = field(default_factory=anyio.Event)
    """Set it to end the run early: scenarios that have ended stay judged, the others can run later."""


@dataclass(frozen=True, slots=True)
class FinishedSuite:
    summary: Mapping[str, Any]
    verdicts: tuple[ScenarioVerdict, ...]
    differences: tuple[str, ...]
    """How what ran differs from what should have run."""
    over_runs: tuple[OverRuns, ...]
    interrupted: bool


async def run_suite(plan: SuitePlan, directory: SuiteDirectory, options: SuiteOptions) -> FinishedSuite:
    """Run what has not run yet, judge everything, write the reports.

    Raises what the user must repair first: a swarm's file that is wrong, a failed build, a program that cannot be
    started, a full disk.
    """
    with locked(directory):
        try:
            return await _SuiteRun(plan, directory, options).conduct()
        except OSError as error:
            raise HostError(f"cannot write to {directory.path}: {error.strerror}", hint="free some space") from error


class _SuiteRun:
    def __init__(self, plan: SuitePlan, directory: SuiteDirectory, options: SuiteOptions) -> None:
        self._plan = plan
        self._suite = plan.suite
        self._directory = directory
        self._options = options
        self._mode = directory.run.mode
        self._registry = Registry.load()
        self._swarms: dict[str, Scenario] = {}
        self._planned = _order(plan, directory.run.repetitions)
        self._rows = {_key(row): row for row in self._ended_before()}
        self._header = _header(plan, directory.run.repetitions)

    async def conduct(self) -> FinishedSuite:
        for scenario in self._plan.scenarios:
            if scenario.run is not None:
                self._swarms[scenario.id] = load_swarm(scenario, self._registry)
        interrupted = not await self._run_all()
        return self._conclude(interrupted)

    async def _run_all(self) -> bool:
        """Run every scenario that has no row yet; False when that was interrupted."""
        missing = [key for key in self._planned if key not in self._rows]
        if not missing:
            return True
        async with anyio.create_task_group() as watch:
            with anyio.CancelScope() as work:
                watch.start_soon(self._cancel_when_interrupted, work)
                async with open_spawner(RunScope(self._directory.path)) as spawner:
                    await self._build(spawner)
                    await self._run_missing(missing, spawner)
            watch.cancel_scope.cancel()
        return not self._options.interrupt.is_set()

    async def _cancel_when_interrupted(self, work: anyio.CancelScope) -> None:
        await self._options.interrupt.wait()
        work.cancel()

    async def _run_missing(self, missing: list[tuple[str, int]], spawner: Spawner) -> None:
        limit = anyio.CapacityLimiter(self._jobs())

        async def run(scenario_id: str, repetition: int) -> None:
            async with limit:
                await self._run_one(self._plan.scenario(scenario_id), repetition, spawner)

        async with anyio.create_task_group() as tasks:
            for scenario_id, repetition in missing:
                tasks.start_soon(run, scenario_id, repetition)

    def _jobs(self) -> int:
        if self._options.jobs is not None:
            return self._options.jobs
        return len(os.sched_getaffinity(0)) if self._plan.parallel else 1

    async def _build(self, spawner: Spawner) -> None:
        if self._plan.build is None:
            return
        self._directory.build.mkdir(exist_ok=True)
        words = [filled(word, self._variables()) for word in self._plan.build]
        done = await spawner.run(words, deadline_s=BUILD_DEADLINE_S, name="build", cwd=self._plan.here)
        log = self._directory.path / "build.log"
        log.write_bytes(done.stdout + done.stderr)
        if not done.ok:
            words_of = done.stderr.decode("utf-8", "replace").strip()[-2000:]
            raise HostError(f"the build failed ({done.exit}): {words_of}", hint=f"all of its output: {log}")

    async def _run_one(self, scenario: ScenarioPlan, repetition: int, spawner: Spawner) -> None:
        self._options.observer.on_start(scenario.id, repetition)
        directory = self._directory.of_scenario(scenario.id, repetition)
        begin = time.monotonic_ns()
        if scenario.run is not None:
            swarm = self._swarms[scenario.id]
            outcome = await run_swarm(swarm, repetition, directory, self._registry, self._options.interrupt)
        else:
            temporary = spawner.scope.temporary_directory / directory.name
            temporary.mkdir()
            variables = self._variables(scenario, repetition) | {"dir": str(directory), "tmp": str(temporary)}
            try:
                outcome = await run_processes(self._plan, scenario, variables, directory, spawner)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        duration_ms = (time.monotonic_ns() - begin) // 1_000_000
        if not self._options.interrupt.is_set():  # one that was cut short has not run
            self._record(scenario, repetition, outcome, duration_ms)

    def _variables(self, scenario: ScenarioPlan | None = None, repetition: int = 1) -> dict[str, str]:
        """By rising precedence: the suite's, the scenario's, the mode's, the command line's, and what is given."""
        given = {"here": str(self._plan.here), "build": str(self._directory.build), "mode": self._mode}
        if scenario is not None:
            seed = self._plan.seed + repetition
            given |= {"scenario": scenario.id, "repetition": str(repetition), "seed": str(seed)}
        own = scenario.variables if scenario is not None else {}
        chosen = self._directory.run.variables
        return {**self._plan.variables, **own, **self._plan.mode_variables[self._mode], **chosen, **given}

    def _record(self, scenario: ScenarioPlan, repetition: int, outcome: Outcome, duration_ms: int) -> None:
        """Add the row of a scenario that has ended, with its verdict, and write the manifest anew."""
        cells = {f"{name}_rc": str(code) for name, code in outcome.exits.items()}
        cells |= {f"{name}_log": self._shown(path) for name, path in outcome.logs.items()}
        cells |= {f"{name}_path": self._shown(path) for name, path in outcome.artifacts.items() if path.exists()}
        order = self._planned[scenario.id, repetition]
        cells |= {"order": str(order), "scenario_id": scenario.id, "name": scenario.name}
        cells |= {"duration_ms": str(duration_ms), REPETITION: str(repetition)}
        verdict = self._judge(Row(cells))
        reason = "; ".join([verdict.reason, *outcome.notes])
        self._rows[scenario.id, repetition] = Row(
            {**cells, "status": "pass" if verdict.passed else "fail", "reason": reason}
        )
        append_row(self._directory.manifest, self._header, self._rows[scenario.id, repetition].cells)
        for note in outcome.notes:
            self._options.observer.on_warning(f"{scenario.id}: {note}")
        self._options.observer.on_verdict(verdict, repetition)

    def _judge(self, row: Row) -> ScenarioVerdict:
        return judge_row(row, self._suite, self._mode, [self._directory.path], self._options.observer.on_warning)

    def _conclude(self, interrupted: bool) -> FinishedSuite:
        run = self._directory.run
        quiet = Unobserved().on_warning  # all of it was told when the scenario ended
        rows = sorted(self._rows.values(), key=lambda row: row.order)
        verdicts = [judge_row(row, self._suite, self._mode, [self._directory.path], quiet) for row in rows]
        facts = RunFacts(self._directory.path.name, str(self._directory.path), run.started_at, now_text())
        summary = summarize(verdicts, self._suite, self._mode, facts, repetitions=run.repetitions)
        missing = differences(verdicts, self._suite.scenarios, run.repetitions)
        if rows:
            write_document(self._directory.manifest, manifest_text(self._header, [row.cells for row in rows]))
        write_document(self._directory.path / "summary.json", summary_text(summary))
        write_document(self._directory.path / "statistics.json", json.dumps(statistics(summary), indent=2) + "\n")
        write_document(self._directory.path / "junit.xml", junit(self._suite.name, summary, missing))
        together = over_runs(verdicts, self._suite, self._mode)
        return FinishedSuite(summary, tuple(verdicts), tuple(missing), tuple(together), interrupted)

    def _ended_before(self) -> tuple[Row, ...]:
        if not cut_unfinished(self._directory.manifest):
            return ()
        rows = read_manifest(self._directory.manifest, required_columns(self._suite))
        return tuple(row for row in rows if _key(row) in self._planned)

    def _shown(self, path: Path) -> str:
        """Relative to the run's directory, which may move."""
        return str(path.relative_to(self._directory.path)) if path.is_relative_to(self._directory.path) else str(path)


def _key(row: Row) -> tuple[str, int]:
    return row.scenario_id, row.integer(REPETITION, 1)


def _order(plan: SuitePlan, repetitions: int) -> dict[tuple[str, int], int]:
    """All runs with their places, from 1: every scenario once, then every one again."""
    runs = [(scenario.id, repetition) for repetition in range(1, repetitions + 1) for scenario in plan.scenarios]
    return {run: place for place, run in enumerate(runs, start=1)}


def _header(plan: SuitePlan, repetitions: int) -> tuple[str, ...]:
    shapes = [plan.suite.shape, *plan.suite.shapes.values()]
    processes = dict.fromkeys(process for shape in shapes for process in shape.processes)
    artifacts = dict.fromkeys(artifact for shape in shapes for artifact in shape.artifacts)
    return (*columns(tuple(processes), tuple(artifacts)), *((REPETITION,) if repetitions > 1 else ()))
