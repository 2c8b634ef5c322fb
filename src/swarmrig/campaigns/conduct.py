"""A campaign in progress: hands tasks to an executor, tries again what the infrastructure failed, notes what has ended.

A task has ended once its line is in the journal. Whatever comes before may be lost, and is done again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import anyio

from swarmrig.campaigns.classify import Classified, classify
from swarmrig.campaigns.directory import CampaignDirectory, Journal
from swarmrig.campaigns.executor import Executor
from swarmrig.campaigns.record import result_of
from swarmrig.campaigns.task import Attempt, Ending, Execution, Task, TaskResult
from swarmrig.errors import HostError, leaves_of
from swarmrig.model.verdict import Outcome

FREE_SOME = "free some space, then go on"
LEAST_ROOM = 64 << 10
"""Bytes."""


class CampaignObserver(Protocol):
    """What a viewer of a campaign in progress is told."""

    def on_start(self, task: Task, attempt: int) -> None: ...

    def on_retry(self, task: Task, attempt: Attempt) -> None: ...

    def on_end(self, task: Task, result: TaskResult) -> None: ...


@dataclass(frozen=True, slots=True)
class Conducting:
    """How to conduct a campaign."""

    observer: CampaignObserver
    interrupt: anyio.Event
    """Set it to end early: what runs is asked to end, and is run again when the campaign goes on."""
    retries: int
    keep_passed: bool = True
    """Whether run directories of what passed stay."""


@dataclass(slots=True)
class Conducted:
    """How it came to its end."""

    interrupted: bool = False
    stopped: str | None = None
    """Why it stopped though nobody interrupted it."""
    wall_s: float = 0.0
    hints: list[str] = field(default_factory=list)
    """What to do about it."""


def unfinished(tasks: Sequence[Task], results: Mapping[str, TaskResult]) -> tuple[Task, ...]:
    """Tasks that have no verdict yet, or one of another content; the largest first, for the small ones fill gaps."""
    missing = [task for task in tasks if not is_finished(task, results.get(task.id))]
    return tuple(sorted(missing, key=lambda task: (-task.resources.cores, -task.resources.memory_mib)))


def is_finished(task: Task, result: TaskResult | None) -> bool:
    """Need it not be run again?"""
    return result is not None and result.key == task.key and result.ending is Ending.JUDGED


async def conduct(
    tasks: Sequence[Task],
    directory: CampaignDirectory,
    journal: Journal,
    executor: Executor,
    conducting: Conducting,
    outcome: Conducted,
) -> None:
    """Run tasks until each has a result, or the campaign is interrupted or stopped; `outcome` says which, also when
    this call is cancelled."""
    began = time.monotonic_ns()
    try:
        await _Campaign(tasks, directory, journal, executor, conducting, outcome).all()
    except* HostError as group:
        for error in leaves_of(group):
            assert isinstance(error, HostError)
            outcome.stopped = outcome.stopped or error.message
            outcome.hints += [error.hint] if error.hint else []
    finally:
        outcome.wall_s += (time.monotonic_ns() - began) / 1e9
        outcome.interrupted = outcome.interrupted or conducting.interrupt.is_set()


class _Campaign:
    def __init__(
        self,
        tasks: Sequence[Task],
        directory: CampaignDirectory,
        journal: Journal,
        executor: Executor,
        conducting: Conducting,
        outcome: Conducted,
    ) -> None:
        self._outcome = outcome
        self._pending = deque(tasks)
        self._directory = directory
        self._journal = journal
        self._executor = executor
        self._conducting = conducting
        self._stop = anyio.CancelScope()

    async def all(self) -> None:
        """As many at a time as the executor has use for."""
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._stop_when_interrupted)
            with self._stop:
                async with anyio.create_task_group() as hands:
                    for _ in range(min(self._executor.window, len(self._pending))):
                        hands.start_soon(self._work)
            watch.cancel_scope.cancel()

    async def _stop_when_interrupted(self) -> None:
        await self._conducting.interrupt.wait()
        self._stop.cancel()

    async def _work(self) -> None:
        while self._pending:
            await self._run(self._pending.popleft())

    async def _run(self, task: Task) -> None:
        attempts: list[Attempt] = []
        for number in range(1, self._conducting.retries + 2):
            place = self._directory.place_of(task.id, number)
            self._conducting.observer.on_start(task, number)
            execution = await self._executor.execute(task, place)
            classified = classify(execution)
            if execution.no_space or (classified.ending is Ending.INFRASTRUCTURE and self._is_full()):
                self._stop_for(f"no space left below {self._directory.path}")
                return
            if classified.ending is Ending.INTERRUPTED:  # by somebody else than this campaign: run it again
                classified = Classified(Ending.INFRASTRUCTURE, "the run was interrupted", classified.results)
            attempts.append(_attempt(number, classified, execution))
            if classified.ending is not Ending.INFRASTRUCTURE or number > self._conducting.retries:
                break
            self._conducting.observer.on_retry(task, attempts[-1])
        directory = self._directory.path
        self._finish(
            task, result_of(task, classified, execution, attempts, _began_at(execution), place, directory), place
        )

    def _finish(self, task: Task, result: TaskResult, place: Path) -> None:
        goes = not self._conducting.keep_passed and result.verdict is Outcome.PASS
        if goes:
            result = replace(result, directory=None)
        try:
            self._journal.add(result)
        except OSError as error:
            self._stop_for(f"cannot write {self._journal.path}: {error.strerror}")
            return
        if goes:
            shutil.rmtree(place.parent, ignore_errors=True)
        self._conducting.observer.on_end(task, result)

    def _is_full(self) -> bool:
        """Is there no room for what a run writes? Then whatever else it says of its end, this is why."""
        room = os.statvfs(self._directory.path)
        return room.f_bavail * room.f_frsize < LEAST_ROOM

    def _stop_for(self, reason: str) -> None:
        self._outcome.hints += [] if self._outcome.stopped else [FREE_SOME]
        self._outcome.stopped = self._outcome.stopped or reason
        self._stop.cancel()


def _began_at(execution: Execution) -> str:
    """When its process began, which is later than when it was handed over."""
    began = datetime.fromtimestamp(time.time() - execution.wall_s, UTC)
    return began.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt(number: int, classified: Classified, execution: Execution) -> Attempt:
    return Attempt(number, classified.ending, classified.reason, round(execution.wall_s, 3), execution.worker)
