"""Campaigns on a Dask cluster: `campaign run --on tcp://HOST:PORT`.

A task of a campaign is a Dask task that starts `swarmrig run` as a process on a worker. What the run needs is shipped
there by content, what it has made comes back by content. See `worker` for the other end.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from swarmrig import __version__
from swarmrig.campaigns import cluster_pilot as pilot
from swarmrig.campaigns.bundle import Bundle, bundle_of
from swarmrig.campaigns.cluster_acquaintance import Acquaintance
from swarmrig.campaigns.cluster_link import Link, LostError, NotBegunError, dask_resources, open_link
from swarmrig.campaigns.cluster_machines import emulator_of, refuse_uncovered
from swarmrig.campaigns.cluster_transfer import Transfer
from swarmrig.campaigns.execution import names_full_disk
from swarmrig.campaigns.task import Execution, Task
from swarmrig.campaigns.worker_order import Answer, Declined, Lacks, Order, Report
from swarmrig.errors import HostError, ScenarioError, SwarmrigError
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.plugins import Registry
from swarmrig.runtime.provenance import FILE as PROVENANCE
from swarmrig.scenario.load import load_scenario

if TYPE_CHECKING:
    from swarmrig.campaigns.executor import Executor

PATIENCE_S = 60.0
AGAIN = 2
"""How often a worker may lack files that it has been sent, or workers may go away before they have begun."""
SETTLE_S = 60.0


class _LackingError(Exception):
    """A worker has been sent what it lacked, and can be asked again."""

    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.worker = worker


class ClusterExecutor:
    """Executor: runs tasks on the workers of a Dask cluster. Made by `open_cluster`."""

    def __init__(self, link: Link, here: Path) -> None:
        self._link = link
        self._here = here
        self._registry = Registry.load()
        self._transfer = Transfer(link)
        self._loaded: dict[tuple[str, tuple[str, ...]], Scenario] = {}
        self._bundles: dict[tuple[str, tuple[str, ...]], Bundle] = {}
        self._packing = anyio.Lock()
        self.acquaintance: Acquaintance | None = None

    @property
    def window(self) -> int:
        return max(2, 2 * sum(machine.threads for machine in self._link.machines.values()))

    @property
    def workers(self) -> tuple[str, ...]:
        """Addresses of those that are there now."""
        return tuple(self._link.machines)

    async def execute(self, task: Task, place: Path) -> Execution:
        """Executor's."""
        return await self.execute_on(task, place)

    async def execute_on(self, task: Task, place: Path, worker: str | None = None,
                         only: frozenset[str] | None = None) -> Execution:  # fmt: skip
        """The same, on one worker; `only`: of the run's files, those with such names are enough."""
        try:
            bundle = await self.bundle(task)
        except SwarmrigError as error:
            return _refused(error)
        failures: Counter[str] = Counter()
        supplied: str | None = None
        while True:
            try:
                return await self._attempt(task, bundle, place, worker, supplied, only)
            except _LackingError as error:
                cause = lost_at = supplied = error.worker
                lost = f"worker {error.worker} drops files as soon as it has got them"
            except NotBegunError as error:
                cause, lost, lost_at = "gone", str(error), error.worker
            except LostError as error:
                return Execution(None, lost=str(error), worker=error.worker)
            failures[cause] += 1
            if failures[cause] > AGAIN or (cause == "gone" and worker is not None):
                return Execution(None, lost=lost, worker=lost_at)

    async def _attempt(self, task: Task, bundle: Bundle, place: Path, worker: str | None, supplied: str | None,
                       only: frozenset[str] | None) -> Execution:  # fmt: skip
        """`worker` must execute it, if there is one; the one that has been supplied with its files should."""
        from swarmrig.campaigns.worker import run_shipped

        order = Order(
            self._link.new_key(), __version__, bundle.name, bundle.scenario, bundle.files, task.seed, task.timeout_s
        )
        need = dask_resources(task.resources)
        chosen, elsewhere = worker or supplied, worker is None
        async with self._link.submitted(run_shipped, order, need, chosen, elsewhere=elsewhere) as answer:
            try:
                return await self._answered(answer, order, bundle, place, only)
            except HostError as error:
                full = names_full_disk(error.message)
                return Execution(None, lost=error.message, no_space=full)

    async def _answered(self, answer: Answer, order: Order, bundle: Bundle, place: Path,
                        only: frozenset[str] | None) -> Execution:  # fmt: skip
        match answer:
            case Lacks(worker, digests):
                contents = [content for content in bundle.files.values() if content.digest in digests]
                await self._transfer.send(worker, contents, bundle.sources)
                raise _LackingError(worker)
            case Declined(worker, reason):
                raise LostError(f"worker {worker} cannot run it: {reason}", worker)
            case Report():
                await self._transfer.fetch(order.key, answer, place, only)
                if self.acquaintance is not None:
                    await self.acquaintance.meet(answer.worker)
                documents = tuple(_here(document, place) for document in answer.execution.documents)
                return replace(answer.execution, documents=documents)

    async def bundle(self, task: Task) -> Bundle:
        """What is shipped for a task; the same for all its seeds."""
        name = (task.scenario, task.settings)
        async with self._packing:
            if name not in self._bundles:
                scenario = await self.scenario(task)
                self._bundles[name] = await anyio.to_thread.run_sync(bundle_of, scenario, self._registry)
            return self._bundles[name]

    async def scenario(self, task: Task) -> Scenario:
        """As it is read here, with the task's settings; seeds make no difference."""
        name = (task.scenario, task.settings)
        if name not in self._loaded:
            self._loaded[name] = await anyio.to_thread.run_sync(partial(self._read, task))
        return self._loaded[name]

    def _read(self, task: Task) -> Scenario:
        pairs = [setting.partition("=") for setting in task.settings]
        path = self._here / task.scenario
        return load_scenario(
            str(path) if path.is_file() else task.scenario,
            registry=self._registry,
            overrides=[(key, value) for key, _, value in pairs],
        )

    async def settle(self) -> None:
        """Returns when nothing that this executor began is left on any worker."""
        from swarmrig.campaigns.worker import settle

        for worker in self.workers:
            with suppress(LostError, HostError):
                await self._link.on_worker(worker, settle, self._link.session, deadline_s=SETTLE_S)


@asynccontextmanager
async def open_cluster(
    address: str,
    tasks: Sequence[Task],
    *,
    here: Path,
    tell: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[Executor]:
    """An executor for these tasks on the cluster of a Dask scheduler.

    `here` is the directory that scenarios are relative to. Before anything is run, the machines are compared, and one
    of the tasks is run on each of them; what differs is told. `patience_s`: how long scheduler and workers may be away
    later. Leaving ends what still runs there.

    Raises HostError: no scheduler there, no worker with what the tasks need, another version of the rig, or Dask is
    not installed.
    """
    async with open_link(address, patience_s=patience_s) as link:
        refuse_uncovered(address, tasks, link.machines)
        executor = ClusterExecutor(link, here)
        try:
            emulators = await _emulators(executor, tasks)
            executor.acquaintance = Acquaintance(link, emulators, tell)
            await executor.acquaintance.meet(*executor.workers)
            await _fly(executor, tasks, tell)
            yield executor
        finally:
            with anyio.move_on_after(SETTLE_S, shield=True):
                await executor.settle()


async def _emulators(executor: ClusterExecutor, tasks: Sequence[Task]) -> list[str]:
    found: set[str] = set()
    for task in _variants(tasks):
        with suppress(SwarmrigError):  # told when it is its turn
            for node in (await executor.scenario(task)).nodes:
                found |= {emulator_of(node.kind, node.machine, node.options) or ""}
    return sorted(found - {""})


async def _fly(executor: ClusterExecutor, tasks: Sequence[Task], tell: Callable[[str], None]) -> None:
    """Run the shortest task in virtual time on every worker, and compare."""
    candidates: list[tuple[int, Task]] = []
    for task in _variants(tasks):
        with suppress(SwarmrigError):
            scenario = await executor.scenario(task)
            if scenario.time in (TimeMode.VIRTUAL, TimeMode.AUTO):
                candidates.append((scenario.duration_ns, task))
    if len(executor.workers) < 2 or not candidates:
        return
    _, task = min(candidates, key=lambda candidate: candidate[0])
    samples: list[pilot.Sample] = []

    async def sample(worker: str, place: Path) -> None:
        execution = await executor.execute_on(task, place, worker, frozenset({PROVENANCE}))
        if execution.lost is not None:
            tell(f"the pilot run of {task.id} was lost: {execution.lost}")
        found = pilot.sample_of(worker, execution.documents, place)
        samples.extend([found] if found is not None else [])

    with tempfile.TemporaryDirectory(prefix="swarmrig-pilot-") as scratch:
        async with anyio.create_task_group() as group:
            for number, worker in enumerate(executor.workers):
                place = Path(scratch) / str(number)
                place.mkdir()
                group.start_soon(sample, worker, place)
    for line in pilot.verdict(task.id, sorted(samples, key=lambda each: each.worker)):
        tell(line)


def _variants(tasks: Sequence[Task]) -> list[Task]:
    """One task of each scenario and setting."""
    return list({(task.scenario, task.settings): task for task in reversed(tasks)}.values())[::-1]


def _here(document: Mapping[str, Any], place: Path) -> Mapping[str, Any]:
    """The document of a run, whose directory is here now."""
    directory = document.get("directory")
    return document if directory is None else {**document, "directory": str(place / Path(directory).name)}


def _refused(error: SwarmrigError) -> Execution:
    """As `swarmrig run` would say it."""
    kind = "ScenarioError" if isinstance(error, ScenarioError) else type(error).__name__
    message = {"kind": "error", "errors": [{"type": kind, "message": str(error)}]}
    return Execution(3, (message,), last_words=str(error))
