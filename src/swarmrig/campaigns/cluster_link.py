"""The connection to a Dask scheduler: which workers there are, what becomes of tasks, what to do when either is gone.

Dask itself would run the tasks of a lost worker again, without a word. Here a run whose worker is lost is over, and
whoever asked for it decides. And a connection that is lost is not taken up again: another one is made, and what was
under way is lost.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio

from swarmrig.campaigns.task import Resources
from swarmrig.campaigns.worker_order import PREFIX, SESSION, Answer, Order, begun_topic
from swarmrig.errors import HostError, MissingExtraError

Client = Any
"""distributed.Client, most of whose methods have no types."""
CONNECT_S = 10.0
REFRESH_S = 5.0
"""How often the scheduler is asked for its workers, beside when it tells of a change."""
RETRY_S = 0.5
"""Between two attempts to reach a scheduler that does not answer."""
ANSWER_S = 60.0
"""How long the scheduler may take for an answer about itself."""
WORKER_S = 180.0
"""How long a worker may take to store or read a part of a file."""
RESUME = "`--resume` goes on with what has not been run, when the cluster is there again"


class LostError(Exception):
    """What was asked of a worker came to nothing: it is gone, or the scheduler is. One line says why."""

    def __init__(self, message: str, worker: str = "nobody knows") -> None:
        super().__init__(message)
        self.worker = worker


class NotBegunError(LostError):
    """The same, before the worker had begun with it: it waited there."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A worker, as the scheduler knows it."""

    address: str
    threads: int
    resources: Mapping[str, float] = field(default_factory=dict)

    def covers(self, need: Mapping[str, float]) -> bool:
        return all(self.resources.get(name, 0.0) >= amount for name, amount in need.items())


def dask_resources(resources: Resources) -> dict[str, float]:
    """What a run takes of what a worker declares: `cores`, `memory` (MiB), `kvm`, `docker`.

    The last two are there or not, so a run takes only a trace of them.
    """
    need = {"cores": float(resources.cores), "memory": float(resources.memory_mib)}
    trace = 1 / 1024
    return need | ({"kvm": trace} if resources.kvm else {}) | ({"docker": trace} if resources.docker else {})


class Link:
    """A connection that is made again when it is lost. Made by `open_link`."""

    def __init__(self, address: str, patience_s: float) -> None:
        self.address = address
        self.machines: Mapping[str, Machine] = {}
        self._patience_s = patience_s
        self._client: Client | None = None
        self.session = secrets.token_hex(SESSION // 2)
        self._losses: dict[str, asyncio.Future[LostError]] = {}
        self._begun: set[str] = set()
        self._stirred = anyio.Event()
        self._changed = anyio.Event()
        self._over: HostError | None = None

    def new_key(self) -> str:
        """For a Dask task of this campaigner."""
        return f"{PREFIX}{self.session}{secrets.token_hex(6)}"

    async def client(self) -> Client:
        """Waits for a connection. HostError when there will be none."""
        while self._client is None:
            self._raise_over()
            await self._changed.wait()
        return self._client

    async def on_worker(self, worker: str, function: Callable[..., Any], *words: Any, deadline_s: float) -> Any:
        """Call a function on a worker, beside its tasks. LostError when that comes to nothing."""
        client = await self.client()
        try:
            with anyio.fail_after(deadline_s):
                answers = await client.run(function, *words, workers=[worker])
            return answers[worker]
        except TimeoutError:
            raise LostError(f"worker {worker} did not answer within {deadline_s:g} s", worker) from None
        except Exception as error:  # whatever Dask, the network or the worker makes of it
            raise LostError(f"worker {worker}: {_line(error)}", worker) from error

    @asynccontextmanager
    async def submitted(
        self,
        function: Callable[[Order], Any],
        order: Order,
        need: Mapping[str, float],
        worker: str | None = None,
        *,
        elsewhere: bool = False,
    ) -> AsyncIterator[Answer]:
        """Have an order executed; the answer's run stays on its worker until the context ends. On a certain worker,
        if one is named; `elsewhere`: or on another one, when that is gone or has too much to do.

        Raises LostError when the worker or the scheduler goes away before, HostError when no worker can execute it
        any more. A cancelled call ends the run.
        """
        client = await self.client()
        loss = self._losses[order.key] = asyncio.get_running_loop().create_future()
        future = client.submit(
            function, order, key=order.key, pure=False, resources=dict(need), retries=0,
            workers=None if worker is None else [worker], allow_other_workers=elsewhere and worker is not None,
        )  # fmt: skip
        try:
            yield await self._first(future.result(), loss, self._absence(need))
        finally:
            del self._losses[order.key]
            self._begun.discard(order.key)
            with anyio.CancelScope(shield=True), suppress(Exception):
                if self._client is client:
                    await future.client.cancel([future], force=True)

    async def _first(self, result: Any, loss: asyncio.Future[LostError], absence: Any) -> Answer:
        """The result, unless it is lost, or nobody is there to make it, before."""
        resulting, absent = asyncio.ensure_future(result), asyncio.ensure_future(absence)
        try:
            await asyncio.wait([resulting, absent, loss], return_when=asyncio.FIRST_COMPLETED)
            if loss.done():
                raise loss.result()
            if absent.done():
                absent.result()
            return self._answer(resulting)
        finally:
            for task in (resulting, absent):
                task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([resulting, absent])
            for task in (resulting, absent):
                if not task.cancelled():
                    task.exception()

    def _answer(self, resulting: asyncio.Future[Answer]) -> Answer:
        """What a task returned. LostError for whatever else became of it."""
        try:
            return resulting.result()
        except _distributed().client.FutureCancelledError:
            self._stirred.set()
            raise LostError(self._gone()) from None
        except Exception as error:  # KilledWorker, or whatever the worker could not do
            raise LostError(f"{type(error).__name__}: {_line(error)}") from error

    def _gone(self) -> str:
        return f"the scheduler at {self.address} went away"

    async def _absence(self, need: Mapping[str, float]) -> None:
        """Raises HostError once nobody has covered this need for long."""
        while True:
            self._raise_over()
            if not self.covered(need):
                with anyio.move_on_after(self._patience_s):
                    while not self.covered(need):
                        self._raise_over()
                        await self._changed.wait()
            if not self.covered(need):
                message = f"for {self._patience_s:g} s no worker of {self.address} has offered {told(need)}"
                raise HostError(message, hint=RESUME)
            await self._changed.wait()

    def covered(self, need: Mapping[str, float]) -> bool:
        """Is there a worker that declares as much?"""
        return any(machine.covers(need) for machine in self.machines.values())

    def _raise_over(self) -> None:
        if self._over is not None:
            raise HostError(self._over.message, hint=self._over.hint)

    async def keep(self, client: Client) -> None:
        """Watch the connection, and make another one when it is lost; returns when there is none for too long."""
        while True:
            try:
                await self._watch(client)
            finally:
                for key in self._losses:
                    self._lose(key, LostError(self._gone()))
                self._update({})
                await self.disconnect()
            found: Client | None = None
            with anyio.move_on_after(self._patience_s):
                found = await self._connect_again()
            if found is None:
                message = f"{self._gone()}, and has not come back for {self._patience_s:g} s"
                self._over = HostError(message, hint=RESUME)
                self._update({})
                return
            client = found

    async def connected(self) -> Client:
        """Make a connection, and take it into use. HostError when nobody answers."""
        client = await connect(self.address)
        try:
            await self._attach(client)
        except BaseException:
            await _close(client)
            raise
        return client

    async def disconnect(self) -> None:
        """Nothing is left of the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def _attach(self, client: Client) -> None:
        client.subscribe_topic("all", self._on_event)
        client.subscribe_topic(begun_topic(self.new_key()), self._on_begun)
        machines = _machines_in(await _identity(client))
        self._client = client
        self._update(machines)

    async def _watch(self, client: Client) -> None:
        """Returns when the scheduler is gone, or another one."""
        with suppress(Exception):  # whatever it is, a client that cannot ask is of no use any more
            known = await _identity(client)
            while True:
                with anyio.move_on_after(REFRESH_S):
                    await self._stirred.wait()
                self._stirred = anyio.Event()
                if client.status != "running":
                    return
                found = await _identity(client)
                if found["id"] != known["id"]:
                    return
                self._update(_machines_in(found))

    async def _connect_again(self) -> Client:
        while True:
            with suppress(Exception):
                return await self.connected()
            await anyio.sleep(RETRY_S)  # nothing tells when somebody listens there again; the caller has the deadline

    def _on_begun(self, event: tuple[float, Any]) -> None:
        if event[1] in self._losses:
            self._begun.add(event[1])

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told_of = event
        if told_of.get("action") == "remove-worker":
            worker = told_of.get("worker")
            for key in (*told_of.get("processing-tasks", ()), *told_of.get("lost-computed-tasks", ())):
                if key in self._begun:
                    self._lose(key, LostError(f"worker {worker} went away in the middle of it", str(worker)))
                else:
                    self._lose(key, NotBegunError(f"worker {worker} went away before it had begun", str(worker)))
        if told_of.get("action") in ("add-worker", "remove-worker"):
            self._stirred.set()

    def _lose(self, key: str, error: LostError) -> None:
        loss = self._losses.get(key)
        if loss is not None and not loss.done():
            loss.set_result(error)

    def _update(self, machines: Mapping[str, Machine]) -> None:
        self.machines = machines
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def open_link(address: str, *, patience_s: float) -> AsyncIterator[Link]:
    """Connect to a scheduler. `patience_s`: how long it, or workers, may be away. HostError when there is none."""
    with _quiet():
        link = Link(address, patience_s)
        client = await link.connected()
        keeping = asyncio.create_task(link.keep(client))
        try:
            yield link
        finally:
            keeping.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([keeping])
                await link.disconnect()


async def connect(address: str) -> Client:
    """A client of the scheduler there. HostError when there is none."""
    dask = _distributed()
    try:
        security = dask.security.Security().get_connection_args("client") if address.startswith("tls") else {}
        comm = await dask.core.connect(address, timeout=CONNECT_S, **security)  # gives up sooner than a client does
        await comm.close()
        return await _ready(dask.Client(address, asynchronous=True, timeout=CONNECT_S, set_as_default=False))
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise HostError(
            f"no Dask scheduler answers at {address}: {_line(error)}",
            hint="`dask scheduler` prints its address, tcp://HOST:8786 by default; is it running, and reachable?",
        ) from error


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError("--on", "cluster") from error
    return distributed


async def _ready(client: Client) -> Client:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions: those are compared by the campaign itself
            await client
    except BaseException:
        await _close(client)
        raise
    return client


async def _identity(client: Client) -> dict[str, Any]:
    with anyio.fail_after(ANSWER_S):
        found: dict[str, Any] = await client.scheduler.identity(n_workers=-1)
        return found


def _machines_in(identity: Mapping[str, Any]) -> dict[str, Machine]:
    return {
        address: Machine(address, int(worker["nthreads"]), dict(worker.get("resources") or {}))
        for address, worker in identity["workers"].items()
    }


async def _close(client: Client) -> None:
    with suppress(Exception), anyio.move_on_after(CONNECT_S, shield=True):
        await client.close(timeout=CONNECT_S)


def _quiet() -> Any:
    """Dask's own log would be among what the command line shows."""
    return _distributed().utils.silence_logging_cmgr(logging.CRITICAL)


def told(need: Mapping[str, float]) -> str:
    """`cores=1 memory=256`, as `--resources` takes it."""
    return " ".join(
        f"{name}={max(amount, 1) if name in ('kvm', 'docker') else amount:g}" for name, amount in need.items()
    )


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
