"""Runs with a beginning in common: forked from one warm swarm where that is the same and quicker, booted where not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from swarmrig.errors import HostError
from swarmrig.model.units import format_duration
from swarmrig.runtime.directory import create_run_directory
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.runtime.warm import NotForkableError, WarmSwarm, refuse_unforkable, warmed_up

FORK_ESTIMATE_S = 0.12
"""A guest's share in a fork, on one core, as long as none has been measured."""


class Forking(StrEnum):
    """How runs begin."""

    AUTO = "auto"  # forked where that is the same and quicker
    ALWAYS = "always"  # or refused, with the reason
    NEVER = "never"


@dataclass
class Forks:
    """What runs of plans that differ from `base` in faults and checks only; made by `open_forks`."""

    base: RunPlan
    options: RunOptions
    forking: Forking
    warm: WarmSwarm | None = None
    why_booted: str | None = None
    """Why no run is forked."""

    async def run(
        self, plan: RunPlan, obstacle: str | None, options: RunOptions | None = None
    ) -> tuple[FinishedRun, str | None]:
        """Run a plan, with `options` in place of those for all; with it, why it was booted, None if it was forked.
        `obstacle` says why it can't be forked from where the warm swarm stands. A fork that fails is booted."""
        options = options or self.options
        why = self.why_booted if self.warm is None else self._why_boot(plan, self.warm, obstacle)
        if why is None:
            finished = await run(plan, options, self.warm)
            if not finished.record.failures or finished.record.interrupted:
                return finished, None
            why = f"the fork failed: {finished.record.failures[0].splitlines()[0]}"
        return await run(plan, options), why

    @property
    def fork_s(self) -> float | None:
        """What a fork takes, as a rule; None as long as there was none."""
        return None if self.warm is None else _median(self.warm.fork_s)

    def _why_boot(self, plan: RunPlan, warm: WarmSwarm, obstacle: str | None) -> str | None:
        """None: it is forked."""
        if obstacle is None and (plan.network != self.base.network or plan.nodes != self.base.nodes):
            obstacle = "its network or its nodes are others from the beginning"
        if obstacle is not None or self.forking is Forking.ALWAYS:
            return obstacle
        cost_s = _median(warm.fork_s) or estimated_fork_s(len(warm.snapshots))
        if cost_s < warm.wall_s:
            return None
        return f"booting and warming up takes {warm.wall_s:.2f} s, a fork {cost_s:.2f} s"

    async def _warm_up(self, stack: AsyncExitStack, moment: Callable[[], int]) -> None:
        if self.forking is Forking.NEVER:
            raise NotForkableError("as it was asked for")
        refuse_unforkable(self.base)
        at_ns = moment()
        if at_ns >= self.base.scenario.duration_ns:
            end = format_duration(self.base.scenario.duration_ns)
            raise NotForkableError(f"{format_duration(at_ns)} is not before the end of the run at {end}")
        options = self.options
        place = create_run_directory(options.output_dir, "warm-up", tuple(node.spec.id for node in self.base.nodes))
        warming = warmed_up(
            self.base,
            place,
            at_ns,
            stepping=options.stepping,
            interrupt=options.interrupt,
            skip_build=options.skip_build,
        )
        self.warm = await stack.enter_async_context(warming)
        self.options = replace(options, skip_build=True)  # all runs have one firmware


@asynccontextmanager
async def open_forks(
    base: RunPlan, moment: Callable[[], int], options: RunOptions, forking: Forking
) -> AsyncIterator[Forks]:
    """A swarm that is warm at `moment()`, if there can be one; `base` has neither faults nor checks.

    `moment` raises NotForkableError when there is none. With Forking.ALWAYS, what prevents forks is a HostError.
    """
    forks = Forks(base, options, forking)
    async with AsyncExitStack() as stack:
        try:
            await forks._warm_up(stack, moment)
        except NotForkableError as error:
            forks.why_booted = error.message
            if forking is Forking.ALWAYS and not options.interrupt.is_set():
                raise HostError(
                    f"no run can be forked: {error.message}", hint="leave it to the rig: --fork auto"
                ) from None
        yield forks


def estimated_fork_s(guests: int) -> float:
    """What a fork of so many guests takes, before one has been measured."""
    return FORK_ESTIMATE_S * guests / min(guests or 1, os.cpu_count() or 1)


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
