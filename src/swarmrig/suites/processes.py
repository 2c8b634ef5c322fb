"""One run of a scenario's processes: started in their order, watched to their ends, nothing left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError, NodeError
from swarmrig.model.units import NS_PER_S
from swarmrig.proc import Process, Spawner, StopLadder, wait_until_ready
from swarmrig.suites.injection import inject
from swarmrig.suites.plan import FAULTS, ProcessPlan, ScenarioPlan, SuitePlan, WirePlan
from swarmrig.suites.tail import Tail
from swarmrig.suites.variables import filled
from swarmrig.suites.wires import FAR, NEAR, open_wire

GRACE_S = 2.0
"""How long the others may go on once a process has ended badly."""
_STOP = StopLadder(polite_s=0.0, term_s=1.0, kill_s=2.0)
_STOPPED = (-15, 143)
"""How a process ends that was told to: by SIGTERM itself, or as a shell says it of what it ran."""
_NEVER = -1


@dataclass(slots=True)
class Outcome:
    """How one run of a scenario ended: exit codes, logs that there are, and what else should be known."""

    exits: dict[str, int] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def run_processes(
    plan: SuitePlan, scenario: ScenarioPlan, variables: Mapping[str, str], directory: Path, spawner: Spawner
) -> Outcome:
    """Run the processes of a scenario until those in the foreground have ended, one has failed, or time is up.

    A process that was not started has the exit code -1, one that a signal ended minus its number. Raises SpawnError
    for a program that cannot be started.
    """
    return await _ProcessRun(plan, scenario, variables, directory, spawner).conduct()


class _ProcessRun:
    def __init__(
        self, plan: SuitePlan, scenario: ScenarioPlan, variables: Mapping[str, str], directory: Path, spawner: Spawner
    ) -> None:
        self._plan = plan
        self._scenario = scenario
        self._variables = dict(variables)
        self._directory = directory
        self._spawner = spawner
        names = [process.name for process in plan.processes] + [wire.name for wire in plan.wires]
        self._ready = {name: anyio.Event() for name in names}
        self._running: dict[str, Process] = {}
        self._outcome = Outcome(exits={process.name: _NEVER for process in plan.processes})
        self._shape = plan.suite.shape_of(scenario.id)
        self._waited_for = {process.name for process in plan.processes if not process.background}
        self._limit = anyio.move_on_after(plan.timeout_ns / NS_PER_S)
        self._decided = anyio.Event()
        self._failed = anyio.Event()

    async def conduct(self) -> Outcome:
        with self._limit:
            async with anyio.create_task_group() as tasks:
                for process in self._plan.processes:
                    tasks.start_soon(self._run, process)
                for wire in self._plan.wires:
                    tasks.start_soon(self._lay, wire)
                if self._scenario.faults:
                    tasks.start_soon(self._inject)
                tasks.start_soon(self._give_up)
                await self._decided.wait()
                tasks.cancel_scope.cancel()
        if self._limit.cancelled_caught:
            late = ", ".join(sorted(self._waited_for))
            self._outcome.notes.append(f"{late}: no end within {self._plan.timeout_ns / NS_PER_S:g} s")
        if self._outcome.exits.get(FAULTS):
            self._outcome.notes.append("not every fault was seen to happen, and to end")
        for name, text in self._plan.artifacts.items():
            self._outcome.artifacts[name] = self._directory / filled(text, self._variables)
        return self._outcome

    async def _run(self, process: ProcessPlan) -> None:
        for name in process.after:
            await self._ready[name].wait()
        log = self._directory / f"{process.name}.log"
        log.touch(mode=0o600)
        self._outcome.logs[process.name] = log
        running: Process | None = None
        try:
            async with self._spawner.process(
                [filled(word, self._variables) for word in process.command],
                name=f"{self._directory.name}.{process.name}",
                stdout=log,
                stderr=log,
                env={key: filled(text, self._variables) for key, text in process.env.items()},
                cwd=self._directory,
                stop=_STOP,
            ) as running:
                self._running[process.name] = running
                await self._become_ready(process, running, log)
                await running.wait()
        finally:
            if running is not None and running.exit_status is not None:
                self._ended(process, running.exit_status)

    def _ended(self, process: ProcessPlan, status: ExitStatus) -> None:
        code = -status.signal if status.signal is not None else status.code
        assert code is not None
        stopped = process.background and self._decided.is_set()
        self._outcome.exits[process.name] = 0 if stopped and code in _STOPPED else code
        if not self._limit.cancel_called:
            self._waited_for.discard(process.name)
        if not stopped and not self._shape.is_right(process.name, code):
            self._failed.set()
        if not self._waited_for:
            self._decided.set()

    async def _become_ready(self, process: ProcessPlan, running: Process, log: Path) -> None:
        """Tell the others once the log says that it is ready; one that ends before never is."""
        if process.ready is not None:
            tail = Tail(log, process.ready)
            try:
                match = await wait_until_ready(running, tail.match, deadline_s=self._plan.timeout_ns / NS_PER_S)
            except NodeError:
                last = tail.look()  # it may have said so with its last breath
                if last is None:
                    self._outcome.notes.append(f"{process.name} ended before it was ready")
                    self._failed.set()
                    return
                match = last
            self._variables |= {name: text for name, text in match.groupdict().items() if text is not None}
        self._ready[process.name].set()

    async def _lay(self, wire: WirePlan) -> None:
        """Have a wire for as long as the processes run."""
        for name in wire.after:
            await self._ready[name].wait()
        directory = self._directory / wire.name
        port = filled(wire.to, self._variables)
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
            raise HostError(f"wire {wire.name}: {port[:80]!r} is no port")
        directory.mkdir(mode=0o700)
        seed = int(self._variables["seed"])
        async with open_wire(
            wire.impairment, int(port), seed=seed, directory=directory, spawner=self._spawner
        ) as gateway:
            self._outcome.artifacts |= {f"{wire.name}_{end}": directory / f"{end}.pcapng" for end in (NEAR, FAR)}
            self._variables[wire.name] = str(gateway.port)
            self._ready[wire.name].set()
            try:
                await gateway.wait_broken()
            finally:
                self._outcome.notes += [f"wire {wire.name}: {note}" for note in gateway.notes()]

    async def _inject(self) -> None:
        for event in self._ready.values():
            await event.wait()
        log = self._directory / f"{FAULTS}.log"
        self._outcome.logs[FAULTS] = log
        self._outcome.exits[FAULTS] = 1
        with log.open("w", encoding="utf-8") as file:
            if await inject(self._scenario.faults, self._running, partial(print, file=file, flush=True)):
                self._outcome.exits[FAULTS] = 0

    async def _give_up(self) -> None:
        await self._failed.wait()
        await anyio.sleep(GRACE_S)
        self._decided.set()
