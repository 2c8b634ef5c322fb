"""Runs of a campaign on this machine."""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from swarmrig.campaigns.capacity import Capacity, Room
from swarmrig.campaigns.execution import run_process
from swarmrig.campaigns.task import Execution, Task
from swarmrig.proc import RunScope, Spawner, open_spawner


class LocalExecutor:
    """Runs tasks as processes of this machine, as there is room."""

    def __init__(self, spawner: Spawner, here: Path, capacity: Capacity, hurry: anyio.Event | None) -> None:
        self._spawner = spawner
        self._here = here
        self._room = Room(capacity)
        self._hurry = hurry
        self._window = 2 * math.ceil(capacity.cores) + 2
        self._free = list(range(1, self._window + 1))
        """Numbers of the places at which runs live, so that a time line has as many rows as there were."""

    @property
    def window(self) -> int:
        """Twice as many as there are cores: the next one waits already."""
        return self._window

    async def execute(self, task: Task, place: Path) -> Execution:
        """See `Executor`."""
        async with self._room.taken(task.resources):
            number = heapq.heappop(self._free)
            try:
                return await run_process(
                    self._spawner, task, place, here=self._here, worker=f"local-{number}", hurry=self._hurry
                )
            finally:
                heapq.heappush(self._free, number)


@asynccontextmanager
async def open_local(
    directory: Path, here: Path, capacity: Capacity, hurry: anyio.Event | None = None
) -> AsyncIterator[LocalExecutor]:
    """An executor whose processes end with it, and with this process. `here`: what scenarios are relative to; `hurry`
    makes runs that were asked to end stop judging."""
    async with open_spawner(RunScope(directory)) as spawner:
        yield LocalExecutor(spawner, here, capacity, hurry)
