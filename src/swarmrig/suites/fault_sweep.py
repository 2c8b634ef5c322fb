"""A sweep: a scenario once per fault, forked from a warm swarm where that is the same and quicker, booted where not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.model.verdict import EXIT_INTERRUPTED
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.directory import create_run_directory, new_directory
from swarmrig.runtime.plan import RunPlan, make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.runtime.warm import NotForkableError, WarmSwarm, refuse_unforkable, warmed_up
from swarmrig.suites.branches import Branch, branches_of, with_branch

FORK_ESTIMATE_S = 0.12
"""A guest's share in a fork, on one core, as long as none has been measured."""


class Forking(StrEnum):
    """How the runs of a sweep begin."""

    AUTO = "auto"  # forked where that is the same and quicker
    ALWAYS = "always"  # or the sweep is refused, with the reason
    NEVER = "never"


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
        async with AsyncExitStack() as stack:
            warm: WarmSwarm | None = None
            try:
                warm = await self._warm_up(stack, [branch for branch, _ in plans])
            except NotForkableError as error:
                self._refuse(error.message)
            for branch, plan in plans:
                if self._options.run.interrupt.is_set():
                    break
                await self._one(branch, plan, warm)
        self._done.interrupted = self._options.run.interrupt.is_set()
        return self._done

    def _refuse(self, reason: str) -> None:
        self._done.why_booted = reason
        if self._options.forking is Forking.ALWAYS and not self._options.run.interrupt.is_set():
            raise HostError(f"no run can be forked: {reason}", hint="leave it to the rig: --fork auto")

    async def _warm_up(self, stack: AsyncExitStack, branches: list[Branch]) -> WarmSwarm:
        """NotForkableError says why every run is to be booted."""
        options = self._options
        if options.forking is Forking.NEVER:
            raise NotForkableError("as it was asked for")
        refuse_unforkable(self._base)
        times = [branch.acts_ns for branch in branches if branch.acts_ns is not None]
        if not times:
            raise NotForkableError("every fault waits for something to be seen, which is counted from the beginning")
        at_ns = min(times) if options.at_ns is None else options.at_ns
        if at_ns >= self._base.scenario.duration_ns:
            end = format_duration(self._base.scenario.duration_ns)
            raise NotForkableError(f"{format_duration(at_ns)} is not before the end of the run at {end}")
        place = create_run_directory(
            options.run.output_dir, "warm-up", tuple(node.spec.id for node in self._base.nodes)
        )  # fmt: skip
        run_options = options.run
        warm = await stack.enter_async_context(
            warmed_up(
                self._base,
                place,
                at_ns,
                stepping=run_options.stepping,
                interrupt=run_options.interrupt,
                skip_build=run_options.skip_build,
            )
        )
        self._options = replace(options, run=replace(run_options, skip_build=True))  # all runs have one firmware
        self._done.at_ns, self._done.warm_s = warm.at_ns, warm.wall_s
        return warm

    async def _one(self, branch: Branch, plan: RunPlan, warm: WarmSwarm | None) -> None:
        begun_s = time.monotonic()
        why = self._done.why_booted if warm is None else self._why_boot(branch, plan, warm)
        if why is None:
            finished = await run(plan, self._options.run, warm)
            self._done.fork_s = _median(warm.fork_s) if warm is not None else None
            if finished.record.failures and not finished.record.interrupted:
                why = f"the fork failed: {finished.record.failures[0].splitlines()[0]}"
        if why is not None:
            finished = await run(plan, self._options.run)
        write_reports(finished.record, finished.directory)
        self._done.runs.append(SweptRun(branch, finished, time.monotonic() - begun_s, why))
        self._on_run(self._done.runs[-1])

    def _why_boot(self, branch: Branch, plan: RunPlan, warm: WarmSwarm) -> str | None:
        """None: it is forked."""
        reason = branch.obstacle(warm.at_ns)
        if reason is None and (plan.network != self._base.network or plan.nodes != self._base.nodes):
            reason = "its network or its nodes are others from the beginning"
        if reason is not None or self._options.forking is Forking.ALWAYS:
            return reason
        guests = len(warm.snapshots)
        cost_s = _median(warm.fork_s) or FORK_ESTIMATE_S * guests / min(guests or 1, os.cpu_count() or 1)
        if cost_s < warm.wall_s:
            return None
        return f"booting and warming up takes {warm.wall_s:.2f} s, a fork {cost_s:.2f} s"


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
