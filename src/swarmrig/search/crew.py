"""The worker processes of a search: each runs a schedule at a time, and one that dies is replaced."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.errors import HostError
from swarmrig.proc import Process, Spawner
from swarmrig.search.observation import Observation, broken_run
from swarmrig.search.orders import Line, Order
from swarmrig.search.schedule import Schedule

PROGRAM = "swarmrig.search.worker"
DESCRIPTOR = 3
TRIES = 2
"""How often a run is tried whose worker dies."""


@dataclass
class _Worker:
    process: Process
    line: Line

    async def run(self, schedule: Schedule, keep: Path | None) -> Observation | None:
        """None when the worker has died. HostError says what the user must repair."""
        try:
            await self.line.tell({"schedule": schedule.as_json(), "keep": str(keep) if keep else None})
        except ConnectionError:
            return None
        answer = await self.line.hear()
        if answer is None:
            return None
        if "error" in answer:
            raise HostError(f"a run of the search failed: {answer['error']}")
        return Observation.from_json(answer)


class Crew:
    """Up to `jobs` workers, started when they are first needed; made by `open_crew`."""

    def __init__(self, order: Order, jobs: int, spawner: Spawner, stack: AsyncExitStack) -> None:
        self._order = order
        self._room = anyio.Semaphore(jobs)
        self._spawner = spawner
        self._stack = stack
        self._idle: list[_Worker] = []
        self._hired = 0

    async def run(self, schedule: Schedule, keep: Path | None = None) -> Observation:
        """Wait for a worker, and have it run this. A run that never ends well is an observation, too."""
        async with self._room:
            words = ""
            for _ in range(TRIES):
                worker = self._idle.pop() if self._idle else await self._hire()
                found = await worker.run(schedule, keep)  # cancelled, it is not asked again
                if found is not None:
                    self._idle.append(worker)
                    return found
                words = f"{await worker.process.wait()}{_said(worker.process)}"
            return broken_run(f"the process that ran it ended ({words})")

    async def _hire(self) -> _Worker:
        self._hired += 1
        ours, theirs = socket.socketpair()
        line: list[Line] = []

        async def hang_up() -> None:
            for each in line:
                each.close()

        with theirs:
            process = await self._stack.enter_async_context(
                self._spawner.process(
                    [sys.executable, "-m", PROGRAM, str(DESCRIPTOR)],
                    name=f"worker-{self._hired}",
                    fds={DESCRIPTOR: theirs},
                    env=_environment(),
                    polite=hang_up,
                )
            )
        line.append(await Line.over(ours))
        self._stack.callback(line[0].close)
        with suppress(ConnectionError):  # its end is told when it is asked
            await line[0].tell(self._order.as_json())
        return _Worker(process, line[0])


def _said(process: Process) -> str:
    words = process.last_words(5)
    return f"; its last words: {words}" if words else ""


def _environment() -> dict[str, str]:
    """What plugins and emulators may have been told; but temporary files belong to the search."""
    kept = {key: value for key, value in os.environ.items() if key != "TMPDIR"}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@asynccontextmanager
async def open_crew(order: Order, jobs: int, spawner: Spawner) -> AsyncIterator[Crew]:
    """On leaving, runs that are under way are given up, and their workers end."""
    async with AsyncExitStack() as stack:
        yield Crew(order, jobs, spawner, stack)


Run = Callable[[Schedule], Awaitable[Observation]]
"""One run of a schedule, remembered or new."""
