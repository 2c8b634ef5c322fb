"""A warm swarm: brought to some virtual time once, and held there, so that runs can be forked from it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api import CanSnapshot, NodeSnapshot
from swarmrig.errors import NodeError, SwarmrigError
from swarmrig.model.facts import Frame
from swarmrig.model.network import NetworkPlan, PortKind
from swarmrig.model.scenario import TimeMode
from swarmrig.model.units import format_duration
from swarmrig.net.evidence import FrameTail
from swarmrig.net.modes import Network
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.runtime.clock import VirtualClock, Waiter
from swarmrig.runtime.directory import RunDirectory
from swarmrig.runtime.events import open_event_log
from swarmrig.runtime.firmware import build_firmware
from swarmrig.runtime.fleet import Fleet, launched
from swarmrig.runtime.judge import Judge
from swarmrig.runtime.observer import Unobserved
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.recorder import Recorder
from swarmrig.runtime.waiting import first_of
from swarmrig.runtime.wires import wires_of
from swarmrig.timebase.fabric import VirtualFabric
from swarmrig.timebase.forking import QUIET_NS, ForkedFabric, open_fork
from swarmrig.timebase.stepping import Stepping

FOREVER_NS = 1 << 61
TICK_S = 0.25
"""How often consoles are heard, so that they don't fill up."""
LOOK_NS = 200_000_000
"""So long before the time that was asked for, a moment is looked for at which nobody is at work."""
LOOK_STEP_NS = 1_000_000


class NotForkableError(SwarmrigError):
    """Forks would not be what they are forks of; the message says why. Boot instead."""


@dataclass
class WarmSwarm:
    """A swarm that stands at `at_ns`. Each run that is forked from it has its past, and a future of its own."""

    at_ns: int
    wall_s: float
    """What it took to get there."""
    network: VirtualFabric
    snapshots: Mapping[str, NodeSnapshot]
    _told: Mapping[str, list[tuple[int, str]]]
    _tail: FrameTail
    _past: list[Frame]
    fork_s: list[float] = field(default_factory=list)
    """What forks took, up to where they went on."""
    _opened_s: float = 0.0

    def open_fork(
        self,
        plan: NetworkPlan,
        *,
        directory: Path,
        spawner: Spawner,  # noqa: ARG002 - as wires have it
        start_ns: int,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[ForkedFabric]:
        """In place of a network that begins at the beginning."""
        self._opened_s = time.monotonic()
        assert plan == self.network.plan
        stores = {node: snapshot.stores for node, snapshot in self.snapshots.items()}
        return open_fork(self.network, directory=directory, stores=stores, told=self._told)

    def frames(self, directory: Path) -> FrameTail:
        """What tells of the frames of a fork, from the beginning. Those before the fork are read only once."""
        return self._tail.going_on_in(directory, self._past)

    async def forked(self, network: Network) -> None:
        """Return when all nodes of a fork are where those of this swarm stand."""
        assert isinstance(network, ForkedFabric)
        if await network.restored():
            self.fork_s.append(time.monotonic() - self._opened_s)


@asynccontextmanager
async def warmed_up(
    plan: RunPlan,
    directory: RunDirectory,
    until_ns: int,
    *,
    stepping: Stepping,
    interrupt: anyio.Event,
    skip_build: bool = False,
) -> AsyncIterator[WarmSwarm]:
    """Bring a swarm, without faults and checks, to a moment shortly before `until_ns` at which nobody is at work.

    NotForkableError when there is none, or when a node's state cannot be kept.
    """
    refuse_unforkable(plan)
    refused: NotForkableError | None = None
    begun_s = time.monotonic()
    scope = RunScope(directory.path, directory.id)
    with open_event_log(directory.path) as log:
        async with open_spawner(scope) as spawner:
            await build_firmware(plan.scenario, spawner, skip=skip_build)
            clock = VirtualClock()
            recorder = Recorder(plan, Judge(plan), log, clock, Unobserved())
            opening = wires_of(plan.scenario).open(plan.network, directory=directory.net, spawner=spawner, start_ns=0)
            async with opening as network, launched(plan, directory, network, spawner, clock, recorder) as fleet:
                assert isinstance(network, VirtualFabric)
                clock.network = network
                way = _Way(network, fleet, recorder, interrupt)
                try:
                    at_ns = await way.go(clock.waiter(), until_ns, stepping)
                    wall_s = time.monotonic() - begun_s
                    snapshots = await _snapshots(fleet, directory.path)
                    await network.flush()
                    tail = FrameTail(plan.network, directory.net)
                    warm = WarmSwarm(at_ns, wall_s, network, snapshots, way.told, tail, tail.poll())
                except NotForkableError as error:
                    refused = error  # raised here, it would leave task groups as part of an exception group
                else:
                    yield warm
                finally:
                    fleet.release()
                    with anyio.CancelScope(shield=True):
                        await network.end_guests()
    if refused is not None:
        raise refused


def refuse_unforkable(plan: RunPlan) -> None:
    """NotForkableError when it is known before anything is launched that no run of this plan can be forked."""
    if plan.scenario.time is not TimeMode.VIRTUAL:
        raise NotForkableError(f"there are no snapshots of {plan.scenario.time} time: {'; '.join(plan.reasons)}")
    for node in plan.nodes:
        in_network = node.port is PortKind.PYTHON and not node.command  # forked with it, as a whole
        if not in_network and "CanSnapshot" not in node.capabilities:
            raise NotForkableError(f"node {node.spec.id} (kind {node.spec.kind}) cannot be kept in a snapshot")


async def _snapshots(fleet: Fleet, directory: Path) -> dict[str, NodeSnapshot]:
    """The state of every node that is a process; one after another, for they share the machine anyway."""
    snapshots = {}
    for name, node in fleet.nodes.items():
        if not isinstance(node, CanSnapshot):
            continue
        try:
            snapshots[name] = await node.snapshot(directory)
        except NodeError as error:
            raise NotForkableError(error.message) from error
    return snapshots


class _Way:
    """From the beginning to the moment to fork at."""

    def __init__(self, network: VirtualFabric, fleet: Fleet, recorder: Recorder, interrupt: anyio.Event) -> None:
        self.told: dict[str, list[tuple[int, str]]] = {}
        self._network = network
        self._fleet = fleet
        self._recorder = recorder
        self._interrupt = interrupt
        self._arrived = anyio.Event()
        self._at_ns: int | None = None

    async def go(self, waiter: Waiter, until_ns: int, stepping: Stepping) -> int:
        """Returns the time at which the swarm stands; NotForkableError says why it cannot be forked there."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._find, waiter, until_ns)
            await self._network.go(FOREVER_NS, waiters=1, stepping=stepping)
            while not self._arrived.is_set():
                with anyio.move_on_after(TICK_S):
                    await first_of(self._arrived, self._fleet.ended, self._interrupt)
                self._hear(await self._network.statistics())
                if self._fleet.ended.is_set() or self._interrupt.is_set():
                    break
            tasks.cancel_scope.cancel()
        await first_of(self._fleet.started, self._fleet.ended, self._interrupt)
        return self._settled(until_ns)

    def _settled(self, until_ns: int) -> int:
        if self._interrupt.is_set():
            raise NotForkableError("it was interrupted")
        if self._recorder.failures:
            raise NotForkableError(f"before {format_duration(until_ns)}, {'; '.join(self._recorder.failures)}")
        ended = [name for name, track in self._recorder.nodes.items() if track.exit_status is not None]
        if ended:
            raise NotForkableError(f"before {format_duration(until_ns)}, {', '.join(ended)} ended")
        if self._at_ns is None:
            look = format_duration(min(LOOK_NS, until_ns))
            raise NotForkableError(
                f"somebody is at work at every moment in the {look} before {format_duration(until_ns)}"
            )
        return self._at_ns

    async def _find(self, waiter: Waiter, until_ns: int) -> None:
        at_ns = max(LOOK_STEP_NS, until_ns - LOOK_NS)
        while at_ns + QUIET_NS <= until_ns:
            await waiter.until(at_ns)
            if await self._network.quiet_ns() >= QUIET_NS:
                self._at_ns = at_ns
                break
            at_ns += LOOK_STEP_NS
        self._arrived.set()

    def _hear(self, statistics: Mapping[str, Any]) -> None:
        for name, lines in statistics["console"].items():
            self.told.setdefault(name, []).extend(lines)
        traces = [
            trace for turns in statistics["node_turns"].values() for _, trace, restart_ns in turns if not restart_ns
        ]
        failures = [*traces, statistics["failure"], statistics["capture_error"]]
        for failure in filter(None, failures):
            raise NotForkableError(f"the swarm failed: {failure}")
