"""What runs on a worker of a Dask cluster: it makes the files of a run, starts `swarmrig run` as a process, and keeps
what that has left until the campaigner has got it.

Each run has a spawner, and with it a guardian, of its own, and lies in that spawner's temporary directory. So when the
worker is killed, the guardian ends the run and removes its files. How long they stay otherwise is how long the Dask
task does: when the scheduler releases it (the campaigner has got everything, has cancelled it, or is gone), the run is
ended and its files are removed.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from distributed import Worker, WorkerPlugin, get_worker

from swarmrig import __version__
from swarmrig.campaigns.bundle import scenario_text
from swarmrig.campaigns.bundle_content import Content, checked_place, inventory, next_data
from swarmrig.campaigns.bundle_store import LackingError, Store
from swarmrig.campaigns.execution import run_process
from swarmrig.campaigns.task import Task
from swarmrig.campaigns.worker_order import PREFIX, Answer, Declined, Lacks, Order, Report, begun_topic
from swarmrig.errors import SwarmrigError, leaves_of
from swarmrig.fixtures.store import cache_root
from swarmrig.proc import RunScope, Spawner, open_spawner

SCENARIO = "scenario.swarmrig.yml"
CHUNK_BYTES = 4 << 20
_OVER = ("released", "forgotten", "error", "cancelled")
_log = logging.getLogger("distributed.worker.swarmrig")
_stays: dict[str, _Stay] = {}


def store() -> Store:
    """The store of this worker's machine and user."""
    return Store(cache_root() / "cluster")


async def run_shipped(order: Order) -> Answer:
    """The Dask task. Returns when the run has ended, or cannot begin."""
    worker = get_worker()
    try:
        if order.version != __version__:
            return Declined(worker.address, f"it has swarmrig {__version__}, the campaigner {order.version}")
        order.check()
        missing = await lacking(list(order.files.values()))
        if missing:
            return Lacks(worker.address, missing)
        return await _Stay(order, worker).report()
    except LackingError as error:
        return Lacks(worker.address, error.digests)
    except (SwarmrigError, ValueError) as error:
        return Declined(worker.address, str(error))


class _Stay(WorkerPlugin):
    """A run on this worker, from its beginning until its Dask task is released."""

    def __init__(self, order: Order, worker: Worker) -> None:
        self._order = order
        self._worker = worker
        self._over = anyio.Event()
        self._report: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._living: asyncio.Task[None] | None = None
        self.output: Path | None = None
        """Where the run's files are, once it has ended."""

    async def report(self) -> Report:
        """Let the run live in a task of its own; returns what it has to say when it has ended, but stays."""
        self._living = asyncio.create_task(self._live())
        try:
            return await asyncio.shield(self._report)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Returns when nothing of the run is left."""
        self._over.set()
        if self._living is not None:
            await asyncio.wait([self._living])

    def transition(self, key: Any, start: Any, finish: Any, **_: Any) -> None:  # noqa: ARG002 - Dask's interface
        if key == self._order.key and finish in _OVER:
            self._over.set()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's interface
        await self.end()

    async def _live(self) -> None:
        key = self._order.key
        await self._worker.plugin_add(self, name=key)
        _stays[key] = self
        try:
            async with open_spawner(RunScope.passing()) as spawner, anyio.create_task_group() as tasks:
                tasks.start_soon(self._end_with_task, tasks.cancel_scope)
                self._report.set_result(await self._perform(spawner))
        except BaseException as error:
            self._fail(next(leaves_of(error)))
        finally:
            del _stays[key]
            self._worker.plugins.pop(key, None)
            self._report.cancel()

    async def _end_with_task(self, scope: anyio.CancelScope) -> None:
        await self._over.wait()
        scope.cancel()

    def _fail(self, error: BaseException) -> None:
        if self._report.done():
            _log.warning("%s: %s", self._order.key, error)
        elif isinstance(error, Exception):
            self._report.set_exception(error)

    async def _perform(self, spawner: Spawner) -> Report:
        order, address = self._order, self._worker.address
        place, output = (spawner.scope.temporary_directory / name for name in ("shipped", "made"))
        await asyncio.to_thread(_furnish, order, place)
        output.mkdir(mode=0o700)
        task = Task(id="run", key="", scenario=SCENARIO, variant={}, settings=(), seed=order.seed,
                    timeout_s=order.timeout_s)  # fmt: skip
        self._worker.log_event(begun_topic(order.key), order.key)
        execution = await run_process(spawner, task, output, here=place, worker=address, hurry=self._over)
        files = await asyncio.to_thread(inventory, output, whole=True)
        self.output = output
        return Report(address, execution, files)


def _furnish(order: Order, place: Path) -> None:
    place.mkdir(mode=0o700)
    store().furnish(place, order.files)
    (place / SCENARIO).write_text(scenario_text(order.scenario, place), encoding="utf-8")


async def lacking(contents: Sequence[Content]) -> tuple[str, ...]:
    """Digests of those that have to be sent."""
    return await asyncio.to_thread(store().lacking, contents)


async def settle(session: str) -> None:
    """End all runs of a campaigner; returns when nothing of them is left."""
    for stay in [stay for key, stay in _stays.items() if begun_topic(key) == PREFIX + session]:
        await stay.end()


async def begin_part() -> str:
    """A file is about to be sent."""
    return store().begin()


async def write_part(part: str, offset: int, packed: bytes) -> None:
    """The next bytes of it, compressed."""
    await asyncio.to_thread(lambda: store().write(part, offset, unpacked(packed)))


async def finish_part(part: str, content: Content) -> None:
    """It is complete."""
    await asyncio.to_thread(store().finish, part, content)


async def read_files(key: str, wanted: Sequence[tuple[str, int]]) -> list[tuple[int, bytes]]:
    """Of files that a run has made, the next bytes from an offset, compressed, and where they begin; CHUNK_BYTES at
    most altogether. What does not fit, is asked for again."""
    stay = _stays.get(key)
    if stay is None or stay.output is None:
        raise LookupError(f"{key[:80]} is not here any more")
    return await asyncio.to_thread(_read, stay.output, wanted)


def _read(directory: Path, wanted: Sequence[tuple[str, int]]) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    room = CHUNK_BYTES
    for place, offset in wanted:
        if room <= 0:
            break
        begin, data = next_data(directory / checked_place(place), offset, room)
        room -= len(data)
        found.append((begin, packed(data)))
    return found


def packed(data: bytes) -> bytes:
    """For the way."""
    return zlib.compress(data, 1)


def unpacked(packed: bytes) -> bytes:
    """The bytes of a chunk. ValueError for what is none, or too long."""
    with suppress(zlib.error):
        unpack = zlib.decompressobj()
        data = unpack.decompress(packed, CHUNK_BYTES + 1)
        if unpack.eof and len(data) <= CHUNK_BYTES:
            return data
    raise ValueError("not a chunk of a file")
