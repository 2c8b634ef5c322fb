"""The schedule of faults: injects each at its time, heals it, and collects the proof of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio

from swarmrig.api import FaultContext
from swarmrig.errors import SwarmrigError
from swarmrig.model.facts import Fact, FaultChange, FaultStage
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome
from swarmrig.runtime.clock import Clock, Waiter
from swarmrig.runtime.plan import PlannedFault, RunPlan
from swarmrig.runtime.verdict import FAULT


class ScheduledFault:
    """One fault and what became of it."""

    def __init__(self, planned: PlannedFault, context: FaultContext) -> None:
        self.spec = planned.spec
        self.description = planned.description
        self.stages: list[tuple[FaultStage, int]] = []
        self.evidence: list[Evidence] = []
        self.done = False
        self.error: str | None = None
        self._fault = planned.factory(planned.spec, context)

    def observe(self, fact: Fact) -> None:
        self._fault.observe(fact)

    async def live(self, waiter: Waiter) -> None:
        """Inject at its time, heal after its duration; healed also when cancelled in between."""
        try:
            await waiter.until(self.spec.at_ns)
            await self._fault.inject()
            if self.spec.for_ns is not None:
                await self._heal_after(waiter, self.spec.at_ns + self.spec.for_ns)
            await waiter.release()
        except SwarmrigError as error:
            self.error = error.message
        self.done = True

    async def _heal_after(self, waiter: Waiter, t_ns: int) -> None:
        try:
            await waiter.until(t_ns)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await self._fault.heal()

    def result(self) -> CheckResult:
        """The proof as a result of its own: a fault without observed effect fails the run."""
        if not any(stage is FaultStage.INJECTED for stage, _ in self.stages):
            proved, reason = False, self.error or "the run ended before it was injected"
        else:
            proved, reason = self._fault.proved()
        label = f"fault {self.spec.id}: {self.description}"
        outcome = Outcome.PASS if proved else Outcome.FAIL
        return CheckResult(FAULT, label, Judgement(outcome, reason, tuple(self.evidence)))

    def as_json(self) -> Mapping[str, Any]:
        judgement = self.result().judgement
        stages = sorted(self.stages, key=lambda stage: stage[1])  # what was seen becomes known after it happened
        return {
            "id": self.spec.id,
            "kind": self.spec.kind,
            "description": self.description,
            "stages": [{"stage": stage.value, "t_ns": t_ns} for stage, t_ns in stages],
            "proved": judgement.outcome is Outcome.PASS,
            "message": judgement.message,
        }


class Schedule:
    """All faults of a run."""

    def __init__(
        self,
        plan: RunPlan,
        clock: Clock,
        links: Any,
        nodes: Mapping[str, Any],
        on_change: Callable[[FaultChange], None],
    ) -> None:
        self.faults = tuple(self._make(planned, plan, clock, links, nodes, on_change) for planned in plan.faults)
        self._clock = clock

    def observe(self, fact: Fact) -> None:
        for fault in self.faults:
            fault.observe(fact)

    async def live(self) -> None:
        async with anyio.create_task_group() as tasks:
            for fault in self.faults:
                tasks.start_soon(fault.live, self._clock.waiter())

    @property
    def healed(self) -> bool:
        """Has every fault been injected and, where it ends, healed?"""
        return all(fault.done for fault in self.faults)

    @property
    def proved(self) -> bool:
        """Was the effect of every fault, and of every healing, observed?"""
        return all(fault.result().judgement.outcome is Outcome.PASS for fault in self.faults)

    @staticmethod
    def _make(
        planned: PlannedFault,
        plan: RunPlan,
        clock: Clock,
        links: Any,
        nodes: Mapping[str, Any],
        on_change: Callable[[FaultChange], None],
    ) -> ScheduledFault:
        def emit(stage: FaultStage, data: Mapping[str, Any]) -> None:
            t_ns = int(data.get("t_ns", clock.now_ns()))
            scheduled.stages.append((stage, t_ns))
            if "capture" in data:
                scheduled.evidence.append(Evidence(data["capture"], frame=data.get("frame"), note=stage.value))
            on_change(FaultChange(t_ns, planned.spec.id, planned.spec.kind, stage, data))

        context = FaultContext(plan.scenario, plan.network, links, nodes, clock.now_ns, emit)
        scheduled = ScheduledFault(planned, context)
        return scheduled
