"""A sweep: a scenario once per fault, forked from a warm swarm where that is the same and quicker, booted where not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import EXIT_INTERRUPTED
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.directory import new_directory
from swarmrig.runtime.plan import RunPlan, make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions
from swarmrig.runtime.warm import NotForkableError
from swarmrig.suites.branches import Branch, branches_of, with_branch
from swarmrig.suites.forks import Forking, Forks, open_forks


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How to run a sweep."""

    run: RunOptions
    at_ns: int | None = None
    """Where to fork; None: where the first fault acts."""
    forking: Forking = Forking.AUTO


@dataclass(frozen=True, slots=True)
class SweptRun:
    branch: Branch
    finished: FinishedRun
    wall_s: float
    why_booted: str | None
    """None: it was forked."""

    def as_json(self) -> dict[str, Any]:
        record = self.finished.record
        return {
            "name": self.branch.name,
            "faults": [spec.id for spec in self.branch.faults],
            "began": "forked" if self.why_booted is None else "booted",
            "why_booted": self.why_booted,
            "verdict": record.verdict.value,
            "exit_code": record.exit_code,
            "digest": record.digest,
            "wall_s": round(self.wall_s, 3),
            "directory": self.finished.directory.name,
        }


@dataclass
class Sweep:
    """What became of a sweep."""

    name: str
    directory: Path
    runs: list[SweptRun] = field(default_factory=list)
    at_ns: int | None = None
    """Where runs were forked, if any were."""
    warm_s: float | None = None
    """What it took to get there by booting."""
    fork_s: float | None = None
    """What it took, as a rule, by forking."""
    why_booted: str | None = None
    """Why no run was forked."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """The worst of all."""
        return EXIT_INTERRUPTED if self.interrupted else max(run.finished.record.exit_code for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "forked_at_s": None if self.at_ns is None else self.at_ns / NS_PER_S,
            "boot_and_warm_up_s": self.warm_s,
            "fork_s": self.fork_s,
            "why_booted": self.why_booted,
            "exit_code": self.exit_code,
            "runs": [run.as_json() for run in self.runs],
        }


async def sweep(
    scenario: Scenario, registry: Registry, options: SweepOptions, on_run: Callable[[SweptRun], None]
) -> Sweep:
    """Run a scenario once per fault. HostError when there is none, or with Forking.ALWAYS when runs can't be forked."""
    branches = branches_of(scenario)
    if not branches:
        raise HostError(f"{scenario.source} has no faults to sweep", hint="add `faults:`, or name a list with --faults")
    base = await make_plan(replace(scenario, faults=(), checks=()), registry)
    plans = [(branch, await make_plan(with_branch(scenario, branch), registry)) for branch in branches]
    directory = new_directory(options.run.output_dir, f"{scenario.name}-sweep", ()).path
    options = replace(options, run=replace(options.run, output_dir=directory))
    return await _Sweeper(Sweep(scenario.name, directory), base, options, on_run).conduct(plans)


class _Sweeper:
    def __init__(self, done: Sweep, base: RunPlan, options: SweepOptions, on_run: Callable[[SweptRun], None]) -> None:
        self._done = done
        self._base = base
        self._options = options
        self._on_run = on_run

    async def conduct(self, plans: list[tuple[Branch, RunPlan]]) -> Sweep:
        def moment() -> int:
            return self._moment([branch for branch, _ in plans])

        done, options = self._done, self._options
        async with open_forks(self._base, moment, options.run, options.forking) as forks:
            done.why_booted = forks.why_booted
            if forks.warm is not None:
                done.at_ns, done.warm_s = forks.warm.at_ns, forks.warm.wall_s
            for branch, plan in plans:
                if options.run.interrupt.is_set():
                    break
                await self._one(branch, plan, forks)
        done.interrupted = options.run.interrupt.is_set()
        return done

    def _moment(self, branches: list[Branch]) -> int:
        """Where to fork. NotForkableError says why nowhere."""
        times = [branch.acts_ns for branch in branches if branch.acts_ns is not None]
        if not times:
            raise NotForkableError("every fault waits for something to be seen, which is counted from the beginning")
        return min(times) if self._options.at_ns is None else self._options.at_ns

    async def _one(self, branch: Branch, plan: RunPlan, forks: Forks) -> None:
        begun_s = time.monotonic()
        obstacle = None if forks.warm is None else branch.obstacle(forks.warm.at_ns)
        finished, why = await forks.run(plan, obstacle)
        self._done.fork_s = forks.fork_s
        write_reports(finished.record, finished.directory)
        self._done.runs.append(SweptRun(branch, finished, time.monotonic() - begun_s, why))
        self._on_run(self._done.runs[-1])
