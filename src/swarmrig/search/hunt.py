"""The search itself: schedules are run, looked at in order, and what breaks a check is shrunk and confirmed.

Which schedule is the n-th follows from the observations of those up to n − LAG, whichever worker made them and however
long they took: so a search is the same for any number of workers, and one that was broken off can be gone through again
with the log of its runs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from swarmrig.search.crew import Crew
from swarmrig.search.findings import Finding
from swarmrig.search.guide import Guide
from swarmrig.search.log import RunLog
from swarmrig.search.observation import Break, Observation
from swarmrig.search.schedule import Schedule
from swarmrig.search.shrink import shrunk
from swarmrig.search.space import Space

LAG = 16


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a search goes."""

    schedules: int | None = None
    budget_s: float | None = None
    findings: int | None = None
    """It ends after so many."""
    confirm: int = 3
    jobs: int = 2


@dataclass
class Progress:
    """What has been done so far."""

    schedules: int = 0
    failed: int = 0
    """Of them, whose runs failed, so that nothing is known."""
    why_failed: str = ""
    """The first of them."""
    done: Counter[str] = field(default_factory=Counter)
    """Faults by kind."""
    proved: Counter[str] = field(default_factory=Counter)
    """Of them, those whose effect was seen."""
    growth: list[tuple[int, int]] = field(default_factory=list)
    """After how many schedules how many features had been seen, where that changed."""
    runs: int = 0
    """Of this search, shrinking and confirming included; some of them may be remembered ones."""
    forked: int = 0
    elapsed_s: float = 0.0
    kept: int = 0
    findings: list[Finding] = field(default_factory=list)
    interrupted: bool = False

    @property
    def covered(self) -> int:
        """How many features have been seen."""
        return self.growth[-1][1] if self.growth else 0


class Listener(Protocol):
    """Who wants to know how it goes."""

    def progress(self, progress: Progress) -> None:
        """Something has been run."""
        ...

    def found(self, finding: Finding) -> None:
        """Something was found, or is smaller, or is confirmed now."""
        ...


class Hunt:
    """One search, in a space of schedules."""

    def __init__(
        self, space: Space, guide: Guide, crew: Crew, log: RunLog, extent: Extent, place: Path, listener: Listener
    ) -> None:
        self.progress = Progress()
        self._space = space
        self._guide = guide
        self._crew = crew
        self._log = log
        self._extent = extent
        self._place = place
        self._listener = listener
        self._begun_s = time.monotonic() - log.elapsed_s
        self._room = anyio.Semaphore(extent.jobs)
        self._lag = max(LAG, 2 * extent.jobs)

    async def conduct(self, interrupt: anyio.Event) -> Progress:
        """Until the extent is reached, or somebody interrupts."""
        async with anyio.create_task_group() as tasks:

            async def give_up() -> None:
                await interrupt.wait()
                self.progress.interrupted = True
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_up)
            await self._search(tasks)
            tasks.cancel_scope.cancel()
        self.progress.elapsed_s = self._elapsed_s()
        return self.progress

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begun_s

    @property
    def _over(self) -> bool:
        budget_s, findings = self._extent.budget_s, self._extent.findings
        if findings is not None and len(self.progress.findings) >= findings:
            return True
        return budget_s is not None and self._elapsed_s() >= budget_s

    async def _search(self, tasks: TaskGroup) -> None:
        results: dict[int, Observation | None] = {}
        changed = anyio.Event()

        async def one(number: int, schedule: Schedule) -> None:
            nonlocal changed
            async with self._room:
                recalled = self._log.recall(schedule)
                results[number] = None if recalled is None and self._over else await self._run(schedule)
            changed.set()

        schedules: list[Schedule] = []
        number = 0
        while not self._over:
            while len(schedules) < min(number + self._lag, self._extent.schedules or number + self._lag):
                schedules.append(self._guide.propose(len(schedules)))
                tasks.start_soon(one, len(schedules) - 1, schedules[-1])
            if number == len(schedules):
                break
            while number not in results:
                changed = anyio.Event()
                await changed.wait()
            observation = results.pop(number)
            if observation is None:
                break
            await self._look_at(number, schedules[number], observation)
            number += 1

    async def _look_at(self, number: int, schedule: Schedule, observation: Observation) -> None:
        progress = self.progress
        progress.schedules += 1
        kinds = {strike.name: strike.kind for strike in schedule.strikes}
        if observation.failures:
            progress.failed += 1
            progress.why_failed = progress.why_failed or f"{schedule}: {observation.failures[0]}"
        else:
            progress.done.update(kinds.values())
            progress.proved.update(kind for name, kind in kinds.items() if name in observation.proved)
        if self._guide.learn(schedule, observation):
            progress.growth.append((progress.schedules, self._guide.covered))
        progress.kept = self._guide.kept
        self._listener.progress(progress)
        if not observation.failures:
            for broken in observation.breaks:
                await self._meet(number, schedule, broken)

    async def _meet(self, number: int, schedule: Schedule, broken: Break) -> None:
        for finding in self.progress.findings:
            if finding.broken.signature == broken.signature:
                finding.seen += 1
                return
        finding = Finding(len(self.progress.findings) + 1, broken, schedule, schedule, number + 1)
        finding.asked = self._extent.confirm
        self.progress.findings.append(finding)
        self._listener.found(finding)
        await self._shrink(finding)
        await self._confirm(finding)
        self._listener.found(finding)

    async def _shrink(self, finding: Finding) -> None:
        async def first_breaking(candidates: Sequence[Schedule]) -> int | None:
            jobs = self._extent.jobs
            for start in range(0, len(candidates), jobs):
                found = await self._several(candidates[start : start + jobs])
                for index, observation in enumerate(found, start):
                    if observation.breaking(finding.broken.signature):
                        return index
            return None

        def on_better(schedule: Schedule) -> None:
            finding.schedule = schedule
            self._listener.found(finding)

        await shrunk(finding.schedule, self._space, first_breaking, on_better)
        finding.minimal = True

    async def _several(self, schedules: Sequence[Schedule]) -> list[Observation]:
        found: dict[int, Observation] = {}

        async def one(index: int) -> None:
            found[index] = await self._run(schedules[index])

        async with anyio.create_task_group() as tasks:
            for index in range(len(schedules)):
                tasks.start_soon(one, index)
        return [found[index] for index in range(len(schedules))]

    async def _confirm(self, finding: Finding) -> None:
        """Run it again, and keep the evidence."""
        for repetition in range(1, finding.asked + 1):
            place = self._place / f"finding-{finding.number}"
            finding.runs.append(await self._run(finding.schedule, repetition, place))

    async def _run(self, schedule: Schedule, repetition: int = 0, keep: Path | None = None) -> Observation:
        """Remembered, or made now."""
        found = self._log.recall(schedule, repetition)
        if found is None:
            found = await self._crew.run(schedule, keep)
            self._log.remember(schedule, repetition, found, self._elapsed_s())
        self.progress.runs += 1
        self.progress.forked += found.forked
        return found
