"""A run from plan to record: launch, watch, judge, tear down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from swarmrig import __version__
from swarmrig.errors import HostError, NodeError
from swarmrig.model.facts import Fact
from swarmrig.model.record import LinkRecord, RunRecord
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.verdict import EXIT_CODES, EXIT_INTERRUPTED
from swarmrig.net.evidence import FrameTail
from swarmrig.net.topology import AGGREGATOR
from swarmrig.proc import LeftoverError, RunScope, Spawner, open_spawner
from swarmrig.runtime.audience import Audience, open_audience
from swarmrig.runtime.brake import Brake
from swarmrig.runtime.clock import Clock, RealClock, VirtualClock
from swarmrig.runtime.digest import run_digest
from swarmrig.runtime.directory import RunDirectory, create_run_directory
from swarmrig.runtime.events import EventLog, open_event_log
from swarmrig.runtime.firmware import build_firmware
from swarmrig.runtime.fleet import launched
from swarmrig.runtime.hosted import HostedNodes
from swarmrig.runtime.judge import Judge
from swarmrig.runtime.live import Leader, LiveRun
from swarmrig.runtime.observer import Observer, Programme, Unobserved, telling
from swarmrig.runtime.pace import PaceWatch
from swarmrig.runtime.paced_clock import PacedClock
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.provenance import write_provenance
from swarmrig.runtime.recorder import Recorder
from swarmrig.runtime.repeat import REPEAT_FILE, repeated
from swarmrig.runtime.schedule import Schedule
from swarmrig.runtime.tempo import EXACT
from swarmrig.runtime.verdict import conclude
from swarmrig.runtime.waiting import first_of
from swarmrig.runtime.warm import WarmSwarm
from swarmrig.runtime.wires import wires_of
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.timebase.fabric import VirtualFabric
from swarmrig.timebase.stepping import Stepping


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a plan."""

    output_dir: Path = Path("runs")
    observer: Observer = field(default_factory=Unobserved)
    interrupt: anyio.Event = field(default_factory=anyio.Event)
    """Set it to end the run early: it is still judged and recorded (exit code 130)."""
    until_interrupted: bool = False
    leader: Leader | None = None
    """Who says how the run goes on, and when it ends, in place of the scenario's duration."""
    skip_build: bool = False
    stepping: Stepping = Stepping()
    """In virtual time."""
    brake: Brake | None = None
    """Freezes the swarm where something fails."""
    witness: Callable[[Fact], None] | None = None
    """Is told every fact, as checks are, and decides nothing."""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class FinishedRun:
    record: RunRecord
    directory: Path


async def run(plan: RunPlan, options: RunOptions | None = None, origin: WarmSwarm | None = None) -> FinishedRun:
    """Run a plan; from its beginning, or (to the same end) from where a warm swarm stands. Failures of nodes and checks
    are in the record; what the user must repair first (an unwritable directory, a failed firmware build) is raised."""
    options = options or RunOptions()
    directory = create_run_directory(options.output_dir, plan.scenario.name, tuple(node.spec.id for node in plan.nodes))
    try:
        (directory.path / "scenario.yml").write_text(dump_scenario(plan.scenario, plan.registry), encoding="utf-8")
        conductor = _Conductor(plan, options, directory, origin)
        record = await conductor.conduct()
        if record.faults:
            repeat = repeated(record.scenario, record.faults)
            (directory.path / REPEAT_FILE).write_text(dump_scenario(repeat, plan.registry), encoding="utf-8")
        # a whole run that nobody touched, or no number for it
        if plan.tier == EXACT and not (record.interrupted or record.failures or conductor.touched):
            record = replace(record, digest=run_digest(directory.path))
    except OSError as error:
        raise HostError(
            f"cannot write to {directory.path}: {error.strerror}", hint="free some space, or use --output-dir"
        ) from error
    return FinishedRun(record, directory.path)


class _Conductor:
    """The stages of one run."""

    def __init__(self, plan: RunPlan, options: RunOptions, directory: RunDirectory, origin: WarmSwarm | None) -> None:
        self._plan = plan
        self._origin = origin
        self._options = options
        self._directory = directory
        self._interrupted = False
        self._started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._run_ns = 0
        self._statistics: Mapping[str, Any] = {}
        self._pace: PaceWatch | None = None
        self.touched = False
        """Has somebody acted upon the run who is no part of the plan?"""

    async def conduct(self) -> RunRecord:
        options = self._options
        programme = Programme.of(self._plan, until_interrupted=options.until_interrupted)
        with open_event_log(self._directory.path) as log:
            async with open_audience(programme, options.observer, options.brake) as (audience, tasks):
                try:
                    return await self._conduct(log, audience, tasks)
                finally:
                    self.touched = audience.touched

    async def _conduct(self, log: EventLog, audience: Audience, tasks: TaskGroup) -> RunRecord:
        judge = Judge(self._plan)
        try:
            scope = RunScope(self._directory.path, self._directory.id)
            async with open_spawner(scope) as spawner:
                await audience.listen(scope, tasks)
                self._interrupted = not await self._build(spawner, audience)
                clock = _clock(self._plan)
                recorder = Recorder(self._plan, judge, log, clock, audience)
                if self._interrupted:
                    schedule = Schedule(self._plan, clock, None, {}, recorder.observe)
                else:
                    schedule = await self._live(recorder, judge, clock, log, spawner, audience)
        except LeftoverError as error:
            recorder.failure("rig", error.message)
        return self._record(recorder, judge, schedule)

    @property
    def _duration_ns(self) -> int | None:
        led = self._options.until_interrupted or self._options.leader is not None
        return None if led else self._plan.scenario.duration_ns

    async def _build(self, spawner: Spawner, observer: Observer) -> bool:
        """Build the firmware, and what else nodes are made of; False when that was interrupted."""
        errors: list[HostError | NodeError] = []
        done = anyio.Event()

        async def build() -> None:
            try:
                async with telling(observer, "rig", "building firmware"):
                    await build_firmware(self._plan.scenario, spawner, skip=self._options.skip_build)
                await self._prepare_nodes(observer)
            except (HostError, NodeError) as error:
                errors.append(error)
            done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build)
            await first_of(done, self._options.interrupt)
            tasks.cancel_scope.cancel()
        for error in errors:
            raise error
        return done.is_set()

    async def _prepare_nodes(self, observer: Observer) -> None:
        for node in self._plan.nodes:
            prepare = getattr(self._plan.backends[node.spec.kind], "prepare", None)
            if prepare is not None:
                async with telling(observer, node.spec.id, "being prepared"):
                    await prepare(node, self._directory.node(node.spec.id))

    async def _live(
        self, recorder: Recorder, judge: Judge, clock: Clock, log: EventLog, spawner: Spawner, audience: Audience
    ) -> Schedule:
        plan, net = self._plan, self._directory.net
        recorder.event("rig", "run.started", {"name": plan.scenario.name})
        origin = self._origin
        open_network = wires_of(plan.scenario).open if origin is None else origin.open_fork
        async with open_network(plan.network, directory=net, spawner=spawner, start_ns=clock.start_ns) as network:
            if isinstance(clock, VirtualClock):
                assert isinstance(network, VirtualFabric)
                clock.network = network
            snapshots = {} if origin is None else origin.snapshots
            async with launched(plan, self._directory, network, spawner, clock, recorder, snapshots) as fleet:
                schedule = Schedule(plan, clock, network, fleet.nodes, recorder.observe)
                judge.watch(schedule.observe)
                if self._options.witness is not None:
                    judge.watch(self._options.witness)
                if self._options.leader is not None:
                    judge.watch(self._options.leader.observe)
                    schedule.past = []
                live = LiveRun(
                    recorder=recorder,
                    directory=self._directory,
                    clock=clock,
                    log=log,
                    network=network,
                    fleet=fleet,
                    schedule=schedule,
                    tail=FrameTail(plan.network, net) if origin is None else origin.frames(net),
                    hosted=HostedNodes(self._directory, recorder, plan.scenario.nodes, fleet.nodes),
                    pace=PaceWatch(recorder),
                    observer=audience,
                    brake=self._options.brake,
                    interrupt=self._options.interrupt,
                    stepping=self._options.stepping,
                    duration_ns=self._duration_ns,
                    time=plan.scenario.time,
                    leader=self._options.leader,
                )
                audience.live = live
                recorder.on_console.append(audience.console_grown)
                if origin is not None:
                    await first_of(fleet.started, fleet.ended)
                    await origin.forked(network)
                    await live.collect()
                await live.live()
                self._run_ns = clock.now_ns() if live.ended_ns is None else live.ended_ns
                self._interrupted = live.interrupted
                recorder.event("rig", "run.stopping", {"interrupted": self._interrupted})
                await live.stop()
            await live.collect_rest()
        self._statistics = live.statistics
        self._pace = live.pace
        live.pace.conclude(self._run_ns)
        recorder.finish_consoles()
        write_provenance(self._directory.path, fleet.provenance)
        for difference in fleet.read_back():
            recorder.warning("flash", f"read back differs: {difference}")
        return schedule

    def _as_run(self, schedule: Schedule) -> Scenario:
        """With what the leader has made of it."""
        if self._options.leader is None:
            return self._plan.scenario
        return replace(schedule.scenario, duration_ns=max(self._run_ns, 1))

    def _record(self, recorder: Recorder, judge: Judge, schedule: Schedule) -> RunRecord:
        schedule.conclude()
        results = (*judge.results(self._run_ns), *(fault.result() for fault in schedule.faults))
        for result in results:
            data = {"label": result.label, "outcome": result.judgement.outcome.value}
            recorder.event("rig", "check", data, self._run_ns)
        verdict = conclude(results, recorder.failures, strict=self._options.strict)
        exit_code = EXIT_INTERRUPTED if self._interrupted else EXIT_CODES[verdict]
        recorder.event("rig", "run.finished", {"verdict": verdict.value, "exit_code": exit_code}, self._run_ns)
        return RunRecord(
            run_id=self._directory.id,
            scenario=self._as_run(schedule),
            version=__version__,
            tier=self._plan.tier,
            digest=None,
            started_at=self._started_at,
            run_ns=self._run_ns,
            interrupted=self._interrupted,
            verdict=verdict,
            exit_code=exit_code,
            checks=results,
            nodes=recorder.node_records(),
            links=_link_records(self._statistics),
            faults=tuple(fault.record() for fault in schedule.faults),
            aggregator=self._statistics.get("nodes", {}).get(AGGREGATOR, {}),
            metrics=recorder.meter.values(self._run_ns),
            warnings=tuple(recorder.warnings),
            failures=tuple(recorder.failures),
            pace=self._pace.pace if self._pace is not None else None,
        )


def _clock(plan: RunPlan) -> Clock:
    match plan.scenario.time:
        case TimeMode.VIRTUAL:
            return VirtualClock()
        case TimeMode.PACED:
            return PacedClock(plan.outside)
        case _:
            return RealClock.starting_now()


def _link_records(statistics: Mapping[str, Any]) -> tuple[LinkRecord, ...]:
    return tuple(
        LinkRecord(name, counters["frames"], counters["bytes"], counters["delivered"], counters["drops"])
        for name, counters in statistics.get("links", {}).items()
    )
