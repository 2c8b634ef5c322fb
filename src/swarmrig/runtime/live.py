"""A run while it lives: facts are collected until it is decided, over, interrupted, or cannot go on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from swarmrig.errors import HostError
from swarmrig.model.facts import Fact, NodeReport
from swarmrig.model.scenario import TimeMode
from swarmrig.net.evidence import FrameTail
from swarmrig.net.fabric import Fabric
from swarmrig.net.modes import Network
from swarmrig.runtime.brake import Brake
from swarmrig.runtime.clock import Clock, VirtualClock
from swarmrig.runtime.directory import RunDirectory
from swarmrig.runtime.events import EventLog
from swarmrig.runtime.fleet import Fleet
from swarmrig.runtime.hosted import HostedNodes
from swarmrig.runtime.observer import Observer, Snapshot
from swarmrig.runtime.pace import PaceWatch
from swarmrig.runtime.recorder import Recorder
from swarmrig.runtime.schedule import Schedule
from swarmrig.runtime.waiting import first_of
from swarmrig.timebase.stepping import Stepping

TICK_S = 0.25
"""How often captures are read and checks asked."""
BRAKING_STEP_NS = 100_000_000
"""So soon after a failure a run in virtual time stands still, if it is to."""
SHARE = 4
"""To be asked of thousands of nodes takes the network's time: for so much longer it is not asked again ..."""
PAUSE_LIMIT_S = 1.0
"""... but no longer than this: what has piled up keeps the rig from all else while it is judged."""
FOREVER_NS = 1 << 61
SPARE_S = 5.0
"""The network's process is given so much longer than a node of it, which it has to name first."""
AT_A_TIME = 128
"""Frames that are taken in before others may go on."""


class Leader(Protocol):
    """Somebody who says how a run goes on while it lives, and when it ends."""

    def observe(self, fact: Fact) -> None:
        """Called with every fact of the run."""
        ...

    async def lead(self, live: LiveRun) -> None:
        """Called at the beginning. In virtual time, time stands until he waits for one (`live.clock.last_waiter()`),
        and whenever that is reached. When he returns the run is over, and is judged."""
        ...


@dataclass
class LiveRun:
    """What works together while a run lives."""

    recorder: Recorder
    directory: RunDirectory
    clock: Clock
    log: EventLog
    network: Network
    fleet: Fleet
    schedule: Schedule
    tail: FrameTail
    hosted: HostedNodes
    pace: PaceWatch
    observer: Observer
    interrupt: anyio.Event
    stepping: Stepping
    """How long an emulator in virtual time may give no sign of life."""
    duration_ns: int | None
    """None: until interrupted, or as long as the leader leads."""
    time: TimeMode
    leader: Leader | None = None
    brake: Brake | None = None
    paused_ns: int | None = None
    """Where it stands still, or last did."""
    ended_ns: int | None = None
    """Where it ended, if that was before it was told to."""
    interrupted: bool = False
    statistics: Mapping[str, Any] = field(default_factory=dict)
    _end_reached: anyio.Event = field(default_factory=anyio.Event)
    _answered_s: float = field(default_factory=anyio.current_time)
    """When the network was last heard of."""
    _asking_s: float = 0.0
    """How long its last answer took."""
    _collecting: anyio.Lock = field(default_factory=anyio.Lock)

    async def live(self) -> None:
        """Until the end, whatever that is."""
        if self.time is TimeMode.REAL and isinstance(self.network, Fabric):  # others are told with how far they may go
            await self.network.be_patient(self.stepping.patience_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.schedule.live)
            tasks.start_soon(self._report_network_death)
            tasks.start_soon(self._reach_end)
            if self.leader is not None:
                tasks.start_soon(self._follow, self.leader)
            if isinstance(self.clock, VirtualClock):
                assert self.clock.network is not None
                # What happens to a node at an early time needs the node, and guests meet without the rig.
                await first_of(self.fleet.started, self.fleet.ended, self.interrupt)
                await self.clock.network.go(
                    self.duration_ns or FOREVER_NS,
                    waiters=len(self.schedule.faults) + 1 + (self.leader is not None) + (self.brake is not None),
                    stepping=self.stepping,
                )
                tasks.start_soon(self.clock.begin)
                if self.brake is not None:
                    tasks.start_soon(self._brake_in_steps)
            pause_s = TICK_S
            while True:
                with anyio.move_on_after(pause_s):
                    await first_of(self.interrupt, self.fleet.ended, self._end_reached)
                await self.collect()
                pause_s = min(PAUSE_LIMIT_S, max(TICK_S, SHARE * self._asking_s))
                snapshot = self.recorder.snapshot(self.duration_ns)
                self.observer.progress(snapshot)
                over = self._over(snapshot)
                if over or not isinstance(self.clock, VirtualClock):
                    over = await self._braked(final=over) or over
                if over:
                    break
            tasks.cancel_scope.cancel()

    async def _braked(self, *, final: bool) -> bool:
        """Let somebody look, if something has failed; `final`: or would, now that the run ends. Is it over by that?"""
        if self.brake is None or not await self.brake.look(self, final=final):
            return False
        self.ended_ns = self.paused_ns
        return True

    async def _brake_in_steps(self) -> None:
        """In virtual time, which may be much faster than the rig looks, it stands still at each step."""
        waiter = self.clock.last_waiter()
        for t_ns in itertools.count(BRAKING_STEP_NS, BRAKING_STEP_NS):
            await waiter.until(t_ns)
            await self.collect()
            await self._braked(final=False)

    async def stop(self) -> None:
        """Stop the nodes, let the network run dry, and take its counts; without a network, just stop the nodes."""
        try:
            await self.fleet.stop(self.network)
            await self.network.flush()
        except HostError as error:
            self.recorder.failure("net", error.message)

    async def collect_rest(self) -> None:
        """Everything that became known since, and what Python nodes say at last; the network still answers."""
        await self.collect()
        now_ns = self.clock.now_ns()
        self.hosted.keep_reports(self.statistics)
        for node, report in self.statistics.get("nodes", {}).items():
            self.recorder.observe(NodeReport(now_ns, node, report))
        self.observer.progress(self.recorder.snapshot(self.duration_ns))  # as it stood at last

    async def collect(self) -> None:
        """Take in what has become known."""
        async with self._collecting:  # else what is read later could be told first
            await self._collect()

    async def _collect(self) -> None:
        asked_s = anyio.current_time()
        try:
            self.statistics = await self.network.statistics()
        except HostError as error:
            self._miss_network(error)
            return
        self._answered_s = anyio.current_time()
        self._asking_s = self._answered_s - asked_s
        self.hosted.take(self.statistics)
        self.pace.take(self.statistics)
        await anyio.lowlevel.checkpoint()
        for number, frame in enumerate(self.tail.poll()):
            if number % AT_A_TIME == 0:  # a fault may be due meanwhile: time stands until it has acted
                await anyio.lowlevel.checkpoint()
            self.recorder.observe(frame)
        complete_ns = self.clock.complete_ns(self.statistics["now_ns"])
        self.schedule.settle(complete_ns)
        self.log.write_until(complete_ns)

    def _miss_network(self, error: HostError) -> None:
        """Its death is reported by who waits for it; that it lives on and says nothing, here."""
        if (
            anyio.current_time() - self._answered_s > self.stepping.patience_s + SPARE_S
            and not self.fleet.ended.is_set()
        ):
            self.recorder.failure("net", str(error))
            self.fleet.ended.set()

    async def _reach_end(self) -> None:
        waiter = self.clock.waiter()
        await waiter.until(self.duration_ns or FOREVER_NS)
        self._end_reached.set()

    async def _follow(self, leader: Leader) -> None:
        """The run ends when its leader has gone, whenever that is."""
        await leader.lead(self)
        self.duration_ns = self.clock.now_ns()
        self._end_reached.set()

    async def _report_network_death(self) -> None:
        status = await self.network.wait_exited()
        self.recorder.failure("net", f"the network process ended by itself: {status}")
        self.fleet.ended.set()

    def _over(self, snapshot: Snapshot) -> bool:
        if self.interrupt.is_set():
            self.interrupted = True
            return True
        if self.fleet.ended.is_set() or self.hosted.violation is not None:
            return True
        if self.duration_ns is None:
            return False
        if self._end_reached.is_set():
            return not self.schedule.busy(self.duration_ns)
        if self.time is TimeMode.VIRTUAL or not self.schedule.done:
            return False  # virtual: always to the end, for how far it had got would depend on this machine
        decided = bool(snapshot.checks) and all(judgement is not None for judgement in snapshot.checks.values())
        return decided and self.schedule.proved
