"""The schedule of faults: each acts when it is due, heals, and is proved by what was seen of both."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio

from swarmrig.api import FaultContext
from swarmrig.errors import SwarmrigError
from swarmrig.model.facts import Fact, FaultChange, FaultStage, Frame
from swarmrig.model.scenario import Scenario
from swarmrig.model.triggers import acting_order, trigger_of
from swarmrig.runtime.clock import Clock
from swarmrig.runtime.injection import ScheduledFault
from swarmrig.runtime.plan import PlannedFault, RunPlan, nodes_named


class Schedule:
    """All faults of a run, in the order of the scenario."""

    def __init__(
        self,
        plan: RunPlan,
        clock: Clock,
        links: Any,
        nodes: Mapping[str, Any],
        on_change: Callable[[FaultChange], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._links = links
        self._nodes = nodes
        self._on_change = on_change
        self._claims: dict[str, str] = {}
        self._waiting: list[Fact] = []
        self.past: list[Fact] | None = None
        """What faults have been told, for those that are added later; None: nothing is kept."""
        specs = {planned.spec.id: planned.spec for planned in plan.faults}
        self._specs = specs
        self._order = [spec.id for spec in acting_order(list(specs.values()))]
        self._by_id = {planned.spec.id: self._scheduled(planned) for planned in plan.faults}
        self.faults = tuple(self._by_id.values())
        self._watching = [fault for fault in self.faults if fault.waits_for_sight]
        self._listening: list[ScheduledFault] = []
        self._to_listen = sorted(self.faults, key=lambda fault: fault.listens_from_ns, reverse=True)

    def observe(self, fact: Fact) -> None:
        """Conditions count it at once, and so do faults what is done by others of them; all else waits for `settle`."""
        for fault in self._watching:
            fault.sight(fact)
        if not isinstance(fact, FaultChange):
            self._waiting.append(fact)
            return
        self._keep(fact)
        for fault in self.faults:
            fault.observe(fact)

    def settle(self, known_ns: float = math.inf) -> None:
        """All facts up to this time are known: faults observe them in order of time, so that what they conclude, and
        when, does not depend on when a console or a capture was read."""
        known = [fact for fact in self._waiting if fact.t_ns <= known_ns]
        self._waiting = [fact for fact in self._waiting if fact.t_ns > known_ns]
        for fact in sorted(known, key=_order):
            if self._to_listen and self._to_listen[-1].listens_from_ns <= fact.t_ns:
                self._begin_to_listen(fact.t_ns)
            self._keep(fact)
            for fault in self._listening:
                fault.observe(fact)

    def _begin_to_listen(self, t_ns: int) -> None:
        """Who has heard enough makes room for those who come."""
        self._listening = [fault for fault in self._listening if fault.listens]
        while self._to_listen and self._to_listen[-1].listens_from_ns <= t_ns:
            self._listening.append(self._to_listen.pop())
        self._listening.sort(key=self.faults.index)  # what they tell is told in the order of the scenario

    def add(self, planned: PlannedFault) -> ScheduledFault:
        """One more fault, with a time that is not past yet; who adds it lets it live. It is told the kept past."""
        self._specs[planned.spec.id] = planned.spec
        fault = self._by_id[planned.spec.id] = self._scheduled(planned)
        self.faults = (*self.faults, fault)
        for fact in self.past or ():
            if fact.t_ns >= fault.listens_from_ns or isinstance(fact, FaultChange):
                fault.observe(fact)
        self._to_listen.append(fault)
        self._to_listen.sort(key=lambda one: one.listens_from_ns, reverse=True)
        return fault

    @property
    def scenario(self) -> Scenario:
        """With the faults that were added."""
        return replace(self._plan.scenario, faults=tuple(fault.spec for fault in self.faults))

    def _keep(self, fact: Fact) -> None:
        if self.past is not None:
            self.past.append(fact)

    def _scheduled(self, planned: PlannedFault) -> ScheduledFault:
        return ScheduledFault(planned, trigger_of(planned.spec, self._specs), self, self._context)

    async def live(self) -> None:
        """Until all faults are over. Those in force are healed also when this is cancelled."""
        async with anyio.create_task_group() as tasks:
            for name in self._order:
                fault = self._by_id[name]
                tasks.start_soon(fault.live, self._clock.waiter(holds=self._holds(fault)))

    def _holds(self, fault: ScheduledFault) -> bool:
        """Must time stand while it acts? Not for what it does to nodes that live by another time."""
        healed = self._specs.get(str(fault.spec.params.get("fault")))
        named = nodes_named(healed or fault.spec, self._plan.scenario)
        return not named or any(node.id not in self._plan.outside for node in named)

    def conclude(self) -> None:
        """There are no more facts."""
        self.settle()
        for fault in self.faults:
            fault.conclude()

    def busy(self, end_ns: int) -> bool:
        """Is anything that is due before `end_ns` still to be done?"""
        return any(fault.is_due(end_ns) for fault in self.faults)

    @property
    def done(self) -> bool:
        """Has every fault been injected and, where it ends, healed?"""
        return all(fault.done for fault in self.faults)

    @property
    def proved(self) -> bool:
        """Was the effect of every fault, and of every healing, observed?"""
        return all(fault.is_proved for fault in self.faults)

    def reached(self, fault: str, stage: FaultStage) -> bool:
        return fault in self._by_id and self._by_id[fault].has_reached(stage)

    async def heal(self, fault: str, healer: ScheduledFault) -> None:
        """Heal a fault in the time of another one."""
        await self._by_id[fault].heal_in_time_of(healer)

    def take(self, fault: str, claims: frozenset[str]) -> None:
        """Have these for itself. SwarmrigError when a fault that is still in force has one of them."""
        for claim in sorted(claims):
            if claim in self._claims:
                raise SwarmrigError(f"{self._claims[claim]} is still in force ({claim})")
        self._claims |= dict.fromkeys(claims, fault)

    def give_back(self, fault: str) -> None:
        self._claims = {claim: owner for claim, owner in self._claims.items() if owner != fault}

    def _context(self, fault: ScheduledFault) -> FaultContext:
        spec = fault.spec

        def emit(stage: FaultStage, data: Mapping[str, Any]) -> None:
            t_ns = int(data.get("t_ns", self._clock.now_ns()))
            fault.take(stage, t_ns, data)
            self._on_change(FaultChange(t_ns, spec.id, spec.kind, stage, data))

        return FaultContext(
            scenario=self._plan.scenario,
            network=self._plan.network,
            links=self._links,
            nodes=self._nodes,
            now_ns=self._clock.now_ns,
            emit=emit,
            random=random.Random(f"{self._plan.scenario.seed} {spec.id}"),
            wait_until=fault.wait_until,
            faults=_Control(self, fault),
            plans={node.spec.id: node for node in self._plan.nodes},
        )


class _Control:
    """api.FaultControl for one fault: what it heals is healed in its own time."""

    def __init__(self, schedule: Schedule, fault: ScheduledFault) -> None:
        self._schedule = schedule
        self._fault = fault

    async def heal(self, fault: str) -> None:
        await self._schedule.heal(fault, self._fault)

    def reached(self, fault: str, stage: FaultStage) -> bool:
        return self._schedule.reached(fault, stage)


def _order(fact: Fact) -> tuple[int, str, str]:
    """By time; at equal times by kind and source, whose own facts stay in their order."""
    source = fact.link if isinstance(fact, Frame) else fact.fault if isinstance(fact, FaultChange) else fact.node
    return fact.t_ns, type(fact).__name__, source
