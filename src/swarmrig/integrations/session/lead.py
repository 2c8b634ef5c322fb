"""Leads a run as somebody says who is not in its event loop: one wish at a time, and in between it waits.

In virtual time a swarm stands still while nobody wishes anything, and lives exactly as long as a wish says. So what a
program does with a swarm depends on nothing but the program, and its runs give the same bytes again and again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio

from swarmrig.api import HasConsole
from swarmrig.errors import SwarmrigError
from swarmrig.integrations.session.errors import NotSeenError, SwarmOverError
from swarmrig.integrations.session.transcript import Found, Search, Transcript
from swarmrig.integrations.session.turns import Turns
from swarmrig.model.facts import Fact, FaultChange, Frame
from swarmrig.model.scenario import FaultSpec, TimeMode
from swarmrig.model.triggers import HEAL
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.model.verdict import Judgement
from swarmrig.plugins import Registry
from swarmrig.runtime.clock import Stopper
from swarmrig.runtime.injection import ScheduledFault
from swarmrig.runtime.live import LiveRun
from swarmrig.runtime.plan import RunPlan, plan_wiring
from swarmrig.runtime.waiting import first_of
from swarmrig.scenario.single_fault import fault_now

GLANCE_NS = 250_000_000
"""In virtual time, who waits for a console hears of every line, and so often looks whether one has only begun (a
prompt); in real time, of everything it says."""

T = TypeVar("T")
Wish = Callable[[], Awaitable[T]]


class Lead:
    """See runtime.live.Leader. All methods belong to the run's event loop."""

    def __init__(self, plan: RunPlan, registry: Registry) -> None:
        self.ready = anyio.Event()
        """Wishes are taken."""
        self.over = anyio.Event()
        """The run is over, or never began."""
        self.facts: list[Fact] = []
        self.on_more: Callable[[str], None] = lambda _: None
        """Called with the id of a node when its console has said more."""
        self._plan = plan
        self._registry = registry
        self._finished = anyio.Event()
        self._changed = anyio.Event()
        self._turn = anyio.Lock()
        self._wish = anyio.CancelScope()
        self._transcripts: dict[str, Transcript] = {}
        self._heard: dict[str, anyio.Event] = {}
        self._numbers: dict[str, int] = {}

    # --- of the run --------------------------------------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)
        if isinstance(fact, FaultChange):
            changed, self._changed = self._changed, anyio.Event()
            changed.set()

    async def lead(self, live: LiveRun) -> None:
        """Until `finish`."""
        self._live = live
        live.recorder.on_console.append(self._hear)
        for node in self._plan.nodes:
            self._heard[node.spec.id] = anyio.Event()
        self._waiter = live.clock.last_waiter()
        try:
            await self._waiter.until(live.clock.now_ns())
            await first_of(live.fleet.started, live.fleet.ended)
            if live.recorder.failures:
                return  # they have not all started: the run ends, and says why
            async with anyio.create_task_group() as self._injections:
                self.ready.set()
                await self._finished.wait()
                self._injections.cancel_scope.cancel()
        finally:
            self.ready.set()
            self.over.set()
            self._wish.cancel()

    def _hear(self, node: str) -> None:
        heard, self._heard[node] = self._heard[node], anyio.Event()
        heard.set()
        self.on_more(node)

    # --- wishes ------------------------------------------------------------------------------------------------

    async def fulfil(self, wish: Wish[T]) -> T:
        """Have a wish, when all earlier ones have been fulfilled. SwarmOverError when the run cannot go on for it."""
        async with self._turn:
            if not self.over.is_set():
                with anyio.CancelScope() as self._wish:
                    return await wish()
        raise SwarmOverError(self._why_over())

    async def finish(self) -> None:
        """End the run where it stands."""
        self._finished.set()
        await self.over.wait()

    def _why_over(self) -> str:
        if self._finished.is_set():
            return "the run is over: its verdict was asked for"
        failures = self._live.recorder.failures
        return "the run could not go on: " + ("; ".join(failures) if failures else "all nodes have ended")

    @property
    def virtual(self) -> bool:
        return self._plan.scenario.time is TimeMode.VIRTUAL

    @property
    def now_ns(self) -> int:
        return self._live.clock.now_ns()

    async def until(self, t_ns: int) -> None:
        """Let the swarm live until then; everything before is known when this returns."""
        await self._waiter.until(t_ns)
        await self._know()

    async def _know(self) -> None:
        """Take in everything that has become known."""
        await self._live.collect()
        unfinished = self._live.statistics.get("unfinished", {})
        for node, transcript in self._transcripts.items():
            transcript.unfinished = unfinished.get(node, "").encode("utf-8", "surrogateescape")

    async def run_for(self, duration_ns: int) -> None:
        await self.until(self.now_ns + duration_ns)

    async def booted(self, nodes: Sequence[str], timeout_ns: int, says: re.Pattern[Any] | None) -> None:
        """Return when all of them have said that they have booted: `says`, or what firmware is known to say. Nothing
        is consumed. NotSeenError when one does not in time."""
        deadline_ns = self.now_ns + timeout_ns
        for node in nodes:
            search = None if says is None else Search(Transcript(self.transcript(node).log), [says])
            while not self._is_up(node, search):
                self._refuse_dead(node, "said that it has booted")
                if self.now_ns >= deadline_ns:
                    raise NotSeenError(
                        f"{node} has not booted within {format_duration(timeout_ns)}\n{self._tail(node)}",
                        hint="if its firmware says that in other words, name them",
                    )
                await self._listen(node, deadline_ns)

    def _is_up(self, node: str, search: Search | None) -> bool:
        if search is None:
            return self._live.recorder.nodes[node].boot_ns is not None
        return search.look() is not None

    async def expect(self, node: str, search: Search, timeout_ns: int, what: str) -> Found:
        """The first of the patterns that the node has said, or says in time; it is consumed."""
        deadline_ns = self.now_ns + timeout_ns
        await self._know()
        while (found := search.look()) is None:
            self._refuse_dead(node, f"said {what}")
            if self.now_ns >= deadline_ns:
                raise NotSeenError(
                    f"{node} has not said {what} within {format_duration(timeout_ns)}\n{self._tail(node)}"
                )
            await self._listen(node, deadline_ns)
        self.transcript(node).consumed = found.end
        return found

    def transcript(self, node: str) -> Transcript:
        if node not in self._transcripts:
            self._transcripts[node] = Transcript(self._live.directory.node(node) / "console.log")
        return self._transcripts[node]

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._live.directory.path

    async def _listen(self, node: str, deadline_ns: int) -> None:
        """Return when the node has said more, or later."""
        if isinstance(self._waiter, Stopper):
            await self._waiter.until_said(node, min(deadline_ns, self.now_ns + GLANCE_NS))
            await self._know()
            return
        with anyio.move_on_after(max(0, deadline_ns - self.now_ns) / NS_PER_S):
            await self._heard[node].wait()

    def _refuse_dead(self, node: str, what: str) -> None:
        status = self._live.recorder.nodes[node].exit_status
        if status is not None:
            raise NotSeenError(f"{node} ended ({status}) before it had {what}\n{self._tail(node)}")

    def _tail(self, node: str) -> str:
        transcript = self.transcript(node)
        transcript.refresh()
        words = transcript.tail()
        return f"its last words ({transcript.log}):\n{words}" if words else f"it has said nothing ({transcript.log})"

    async def frames(self) -> list[Frame]:
        """All frames that have entered a link up to now, in order of time."""
        await self._know()
        return [fact for fact in self.facts if isinstance(fact, Frame)]

    async def judgements(self) -> dict[str, Judgement | None]:
        """What the checks say by now, by label."""
        await self._know()
        return dict(self._live.recorder.snapshot(None).checks)

    async def said(self, node: str) -> bytes:
        """Everything that the console has said up to now."""
        await self._know()
        transcript = self.transcript(node)
        transcript.refresh()
        return transcript.since(0)

    async def type_in(self, node: str, data: bytes) -> None:
        """Type into a console. SwarmrigError when it has none."""
        await self.node(node, HasConsole).write_console(data)
        self._live.recorder.event(node, "typed", {"text": data.decode("utf-8", "backslashreplace")})

    def can(self, name: str, capability: type[Any]) -> bool:
        """Is it a running node that can do that?"""
        return isinstance(self._live.fleet.nodes.get(name), capability)

    def node(self, name: str, capability: type[Any]) -> Any:
        """A running node that can do something (a protocol of api.nodes). SwarmrigError when it cannot."""
        node = self._live.fleet.nodes.get(name)
        if node is None:
            raise SwarmrigError(f"node {name} is not running")
        if not self.can(name, capability):
            raise SwarmrigError(f"node {name} has not the capability {capability.__name__}")
        return node

    # --- faults ------------------------------------------------------------------------------------------------

    async def inject(self, kind: str, params: Mapping[str, Any]) -> ScheduledFault:
        """Have a fault act where the swarm stands. ScenarioError when it cannot be; SwarmrigError when it failed."""
        self._numbers[kind] = number = self._numbers.get(kind, 0) + 1
        scenario = self._live.schedule.scenario
        taken = {spec.id for spec in scenario.faults}
        name = next(name for n in range(number, number + len(taken) + 1) if (name := f"{kind}-now-{n}") not in taken)
        spec = fault_now(kind, params, name=name, at_ns=self.now_ns, scenario=scenario, registry=self._registry)
        return await self._act(spec)

    async def heal(self, fault: ScheduledFault) -> ScheduledFault:
        """Heal a fault that was injected for good."""
        name = f"{HEAL}-{fault.spec.id}"
        return await self._act(FaultSpec(name, HEAL, self.now_ns, None, {"fault": fault.spec.id}))

    async def _act(self, spec: FaultSpec) -> ScheduledFault:
        schedule = self._live.schedule
        scenario = replace(schedule.scenario, faults=(*schedule.scenario.faults, spec))
        planned, _ = plan_wiring(scenario, self._plan.network, self._registry, self._plan.nodes)
        await self._know()
        fault = schedule.add(planned[-1])
        turns = Turns(self._live.clock.waiter(), self._live.clock)
        self._injections.start_soon(fault.live, turns)
        while not (turns.had_turn or (fault.stages and not self.virtual)):
            if self.virtual:
                await self._waiter.until(self.now_ns)  # not before the fault has acted
            else:
                await first_of(turns.moved, self._changed)
        await self._know()
        if fault.failure is not None:
            raise SwarmrigError(f"the fault {fault.description!r} failed: {fault.failure.message}")
        return fault
