"""A run from plan to record: launch, watch, judge, tear down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from swarmrig import __version__
from swarmrig.errors import HostError
from swarmrig.model.record import LinkRecord, RunRecord
from swarmrig.model.verdict import EXIT_CODES, EXIT_INTERRUPTED
from swarmrig.net.evidence import FrameTail
from swarmrig.net.modes import Network, wires_of
from swarmrig.net.topology import AGGREGATOR
from swarmrig.proc import LeftoverError, RunScope, Spawner, open_spawner
from swarmrig.runtime.clock import RunClock
from swarmrig.runtime.directory import RunDirectory, create_run_directory
from swarmrig.runtime.events import EventLog, open_event_log
from swarmrig.runtime.firmware import build_firmware
from swarmrig.runtime.fleet import Fleet, launched
from swarmrig.runtime.hosted import HostedNodes
from swarmrig.runtime.judge import Judge
from swarmrig.runtime.observer import Observer, Snapshot, Unobserved
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.recorder import Recorder
from swarmrig.runtime.schedule import Schedule
from swarmrig.runtime.verdict import conclude
from swarmrig.runtime.waiting import first_of
from swarmrig.scenario.resolved import dump_scenario

TICK_S = 0.25
"""How often captures are read and checks asked."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a plan."""

    output_dir: Path = Path("runs")
    observer: Observer = field(default_factory=Unobserved)
    interrupt: anyio.Event = field(default_factory=anyio.Event)
    """Set it to end the run early: it is still judged and recorded (exit code 130)."""
    until_interrupted: bool = False
    skip_build: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class FinishedRun:
    record: RunRecord
    directory: Path


async def run(plan: RunPlan, options: RunOptions | None = None) -> FinishedRun:
    """Run a plan. Failures of nodes and checks are in the record; what the user must repair first
    (an unwritable directory, a failed firmware build) is raised."""
    options = options or RunOptions()
    directory = create_run_directory(options.output_dir, plan.scenario.name, tuple(node.spec.id for node in plan.nodes))
    (directory.path / "scenario.yml").write_text(dump_scenario(plan.scenario), encoding="utf-8")
    try:
        record = await _Conductor(plan, options, directory).conduct()
    except OSError as error:
        raise HostError(
            f"cannot write to {directory.path}: {error.strerror}", hint="free some space, or use --output-dir"
        ) from error
    return FinishedRun(record, directory.path)


class _Conductor:
    """The stages of one run."""

    def __init__(self, plan: RunPlan, options: RunOptions, directory: RunDirectory) -> None:
        self._plan = plan
        self._options = options
        self._directory = directory
        self._interrupted = False
        self._started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._run_ns = 0
        self._statistics: Mapping[str, Any] = {}

    async def conduct(self) -> RunRecord:
        judge = Judge(self._plan)
        with open_event_log(self._directory.path) as log:
            try:
                async with open_spawner(RunScope(self._directory.path, self._directory.id)) as spawner:
                    self._interrupted = not await self._build(spawner)
                    clock = RunClock.starting_now()
                    recorder = Recorder(self._plan, judge, log, clock, self._options.observer)
                    if self._interrupted:
                        schedule = Schedule(self._plan, clock, None, {}, recorder.observe)
                    else:
                        schedule = await self._live(recorder, judge, clock, log, spawner)
            except LeftoverError as error:
                recorder.failure("rig", error.message)
            return self._record(recorder, judge, schedule)

    async def _build(self, spawner: Spawner) -> bool:
        """Build the firmware; False when that was interrupted."""
        errors: list[HostError] = []
        done = anyio.Event()

        async def build() -> None:
            try:
                await build_firmware(self._plan.scenario, spawner, skip=self._options.skip_build)
            except HostError as error:
                errors.append(error)
            done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build)
            await first_of(done, self._options.interrupt)
            tasks.cancel_scope.cancel()
        for error in errors:
            raise error
        return done.is_set()

    async def _live(
        self, recorder: Recorder, judge: Judge, clock: RunClock, log: EventLog, spawner: Spawner
    ) -> Schedule:
        plan, net = self._plan, self._directory.net
        recorder.event("rig", "run.started", {"name": plan.scenario.name, "run": self._directory.id})
        open_network = wires_of(plan.scenario).open
        async with open_network(plan.network, directory=net, spawner=spawner, start_ns=clock.start_ns) as fabric:
            tail = FrameTail(plan.network, net)
            async with launched(plan, self._directory, fabric, spawner, clock, recorder) as fleet:
                schedule = Schedule(plan, clock, fabric, fleet.nodes, recorder.observe)
                judge.watch(schedule.observe)
                hosted = HostedNodes(self._directory, recorder, clock)
                await self._watch(recorder, clock, log, fabric, fleet, schedule, tail, hosted)
                self._run_ns = clock.now_ns()
                recorder.event("rig", "run.stopping", {"interrupted": self._interrupted})
                await self._stop(fleet, fabric, recorder, hosted)
            for frame in tail.poll():
                recorder.observe(frame)
        recorder.finish_consoles()
        for difference in fleet.read_back():
            recorder.warning("flash", f"read back differs: {difference}")
        return schedule

    async def _stop(self, fleet: Fleet, fabric: Network, recorder: Recorder, hosted: HostedNodes) -> None:
        """Stop the nodes, let the network run dry, and take its counts; without a network, just stop the nodes."""
        try:
            await fleet.stop(fabric.settle)
            self._statistics = await fabric.statistics()
            hosted.take(self._statistics)
            await fabric.flush()
        except HostError as error:
            recorder.failure("net", error.message)

    async def _watch(
        self,
        recorder: Recorder,
        clock: RunClock,
        log: EventLog,
        fabric: Network,
        fleet: Fleet,
        schedule: Schedule,
        tail: FrameTail,
        hosted: HostedNodes,
    ) -> None:
        """Feed facts until the run is decided, over, interrupted, or cannot go on."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(schedule.live)
            tasks.start_soon(_report_fabric_death, fabric, recorder, fleet)
            tasks.start_soon(_follow_hosted, fabric, hosted)
            while True:
                with anyio.move_on_after(TICK_S):
                    await first_of(self._options.interrupt, fleet.ended)
                for frame in tail.poll():
                    recorder.observe(frame)
                log.advance(clock.now_ns())
                snapshot = recorder.snapshot(self._duration_ns)
                self._options.observer.progress(snapshot)
                if self._over(snapshot, fleet, schedule):
                    break
            tasks.cancel_scope.cancel()

    @property
    def _duration_ns(self) -> int | None:
        return None if self._options.until_interrupted else self._plan.scenario.duration_ns

    def _over(self, snapshot: Snapshot, fleet: Fleet, schedule: Schedule) -> bool:
        if self._options.interrupt.is_set():
            self._interrupted = True
            return True
        if fleet.ended.is_set():
            return True
        if self._duration_ns is None or not schedule.healed:
            return False
        if snapshot.now_ns >= self._duration_ns:
            return True
        decided = bool(snapshot.checks) and all(judgement is not None for judgement in snapshot.checks.values())
        return decided and schedule.proved

    def _record(self, recorder: Recorder, judge: Judge, schedule: Schedule) -> RunRecord:
        results = (*judge.results(self._run_ns), *(fault.result() for fault in schedule.faults))
        for result in results:
            recorder.event("rig", "check", {"label": result.label, "outcome": result.judgement.outcome.value})
        verdict = conclude(results, recorder.failures, strict=self._options.strict)
        exit_code = EXIT_INTERRUPTED if self._interrupted else EXIT_CODES[verdict]
        recorder.event("rig", "run.finished", {"verdict": verdict.value, "exit_code": exit_code})
        return RunRecord(
            run_id=self._directory.id,
            scenario=self._plan.scenario,
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
            faults=tuple(fault.as_json() for fault in schedule.faults),
            aggregator=self._statistics.get("nodes", {}).get(AGGREGATOR, {}),
            warnings=tuple(recorder.warnings),
            failures=tuple(recorder.failures),
        )


async def _report_fabric_death(fabric: Network, recorder: Recorder, fleet: Fleet) -> None:
    status = await fabric.wait_exited()
    recorder.failure("net", f"the network process ended by itself: {status}")
    fleet.ended.set()


async def _follow_hosted(fabric: Network, hosted: HostedNodes) -> None:
    """Ask again and again; once the network is gone, its death has been reported already."""
    with suppress(HostError):
        while True:
            hosted.take(await fabric.statistics())
            await anyio.sleep(TICK_S)


def _link_records(statistics: Mapping[str, Any]) -> tuple[LinkRecord, ...]:
    return tuple(
        LinkRecord(name, counters["frames"], counters["bytes"], counters["delivered"], counters["drops"])
        for name, counters in statistics.get("links", {}).items()
    )
