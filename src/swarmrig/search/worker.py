"""A process that runs schedules, one after another: `python -m swarmrig.search.worker DESCRIPTOR`.

Plugins are loaded once, the scenario is read once. Nothing of a run is written that nobody will read, unless it is to
be kept; but it is judged as `swarmrig run` judges it.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from swarmrig.errors import SwarmrigError, leaves_of
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions
from swarmrig.runtime.warm import NotForkableError
from swarmrig.scenario.load import load_scenario
from swarmrig.search.coverage import Coverage
from swarmrig.search.observation import Observation, observed
from swarmrig.search.orders import Line, Order
from swarmrig.search.schedule import Schedule, applied
from swarmrig.suites.forks import Forking, Forks, open_forks
from swarmrig.timebase.stepping import Stepping


class Worker:
    """Runs schedules of one scenario."""

    def __init__(self, order: Order, registry: Registry, scenario: Scenario, forks: Forks) -> None:
        self._order = order
        self._registry = registry
        self._scenario = scenario
        self._forks = forks

    async def run(self, schedule: Schedule, keep: Path | None) -> Observation:
        """One run; its directory is made in `keep`, with reports, or goes when it has been looked at."""
        begun_s = time.monotonic()
        plan = await make_plan(applied(self._scenario, schedule, self._registry), self._registry)
        coverage = Coverage(plan.scenario)
        options = replace(
            self._forks.options, witness=coverage.observe, output_dir=keep or self._forks.options.output_dir
        )
        finished, why_booted = await self._forks.run(plan, self._obstacle(schedule), options)
        if keep is None:
            await anyio.to_thread.run_sync(shutil.rmtree, finished.directory)
        else:
            write_reports(finished.record, finished.directory)
        wall_s = time.monotonic() - begun_s
        checks = frozenset(self._order.checks)
        return observed(finished, coverage.features(), checks, wall_s, forked=why_booted is None, kept=keep is not None)

    def _obstacle(self, schedule: Schedule) -> str | None:
        """Why a run can't be forked from the warm swarm, which knows of no faults."""
        warm = self._forks.warm
        times = [strike.at_ns for strike in schedule.strikes]
        if warm is None or (not self._scenario.faults and times and min(times) >= warm.at_ns):
            return None
        return f"something else than waiting is done before {format_duration(warm.at_ns)}"


async def serve(end: socket.socket) -> None:
    """Run what comes over the line until it is closed; then what still runs is cancelled, and cleaned up."""
    line = await Line.over(end)
    first = await line.hear()
    if first is None:
        return
    order = Order.from_json(first)
    registry = Registry.load()
    async with anyio.create_task_group() as tasks:
        heard, asked = anyio.create_memory_object_stream[dict[str, Any]](1)

        async def listen() -> None:
            while (message := await line.hear()) is not None:
                await heard.send(message)
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        try:
            await _work(order, registry, line, asked)
        except* SwarmrigError as group:
            await line.tell({"error": "\n".join(map(str, leaves_of(group)))})
        tasks.cancel_scope.cancel()
    line.close()


async def _work(order: Order, registry: Registry, line: Line, asked: MemoryObjectReceiveStream[dict[str, Any]]) -> None:
    scenario = load_scenario(Path(order.scenario), registry=registry)
    base = await make_plan(replace(scenario, faults=(), checks=()), registry)
    options = RunOptions(
        output_dir=Path(order.place), stepping=Stepping(order.patience_s, order.quantum_ns), skip_build=True
    )

    def moment() -> int:
        if order.fork_at_ns is None:
            raise NotForkableError("booting is quicker")
        return order.fork_at_ns

    async with open_forks(base, moment, options, Forking.AUTO) as forks:
        worker = Worker(order, registry, scenario, forks)
        async for message in asked:
            keep = message["keep"]
            observation = await worker.run(Schedule.from_json(message["schedule"]), Path(keep) if keep else None)
            await line.tell(observation.as_json())


def main(arguments: list[str]) -> int:
    end = socket.socket(fileno=int(arguments[0]))
    anyio.run(serve, end)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
