"""One fault of a run: waits for its time, is injected, held and healed, and tells what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import anyio

from swarmrig.api import FaultContext, FaultSkippedError, Proof, ProofStatus
from swarmrig.errors import SwarmrigError
from swarmrig.model.facts import Fact, FaultStage
from swarmrig.model.record import FaultRecord
from swarmrig.model.scenario import FaultReached
from swarmrig.model.triggers import Trigger
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome
from swarmrig.runtime.clock import Waiter
from swarmrig.runtime.plan import PlannedFault
from swarmrig.runtime.sightings import Sighting
from swarmrig.runtime.verdict import FAULT

HEALING_S = 30.0
"""Wall time that healing may take; it is not given up when the run is interrupted meanwhile."""


class Others(Protocol):
    """What a fault needs of the whole schedule."""

    def reached(self, fault: str, stage: FaultStage) -> bool: ...

    async def heal(self, fault: str, healer: ScheduledFault) -> None: ...

    def take(self, fault: str, claims: frozenset[str]) -> None: ...

    def give_back(self, fault: str) -> None: ...


class ScheduledFault:
    """One fault and what became of it."""

    def __init__(
        self,
        planned: PlannedFault,
        trigger: Trigger,
        others: Others,
        make_context: Callable[[ScheduledFault], FaultContext],
    ) -> None:
        self.spec = planned.spec
        self.description = planned.description
        self.stages: list[tuple[FaultStage, int]] = []
        self.evidence: list[Evidence] = []
        self.due_ns: int | None = None
        """When it acted; None as long as that is not known, or when it was never to."""
        self.done = False
        self._trigger = trigger
        self._sighting = Sighting(trigger.seen) if trigger.seen is not None else None
        self._next_ns: int | None = None if self._sighting else trigger.after_ns
        self._failure: Proof | None = None
        self._waiter: Waiter | None = None
        self._holding: anyio.CancelScope | None = None
        self._released = anyio.Event()
        self._others = others
        self._claims = planned.claims
        self._lasts = getattr(planned.factory, "heals", True)
        looks_back = self.spec.at_ns is None or getattr(planned.factory, "looks_back", True)
        self.listens_from_ns = 0 if looks_back or self.spec.at_ns is None else self.spec.at_ns
        """Facts from before this are not for it."""
        self._context = make_context(self)
        self._fault = planned.factory(planned.spec, self._context)

    @property
    def waits_for_sight(self) -> bool:
        return self._sighting is not None

    def sight(self, fact: Fact) -> None:
        """Is it what the fault waits for?"""
        if self._sighting is not None:
            self._sighting.observe(fact)

    @property
    def listens(self) -> bool:
        """Could a further fact still change its proof?"""
        return not getattr(self._fault, "settled", False)

    def observe(self, fact: Fact) -> None:
        try:  # as `_reported`, but this is done for every fact of the run
            self._fault.observe(fact)
        except Exception as error:
            self._report(error)

    async def live(self, waiter: Waiter) -> None:
        """Inject when it is due, heal after its duration; healed also when cancelled in between."""
        self._waiter = waiter
        try:
            self.due_ns = await self._due(waiter)
            with self._reported():
                await self._act(waiter, self.due_ns)
        finally:
            with anyio.move_on_after(HEALING_S, shield=True):
                await waiter.release()
            self._released.set()
        self.done = True
        self._next_ns = None

    async def heal_in_time_of(self, healer: ScheduledFault) -> None:
        """Heal what was injected for good. SwarmrigError when it is not in force."""
        if not self.in_force:
            raise SwarmrigError(f"{self.spec.id} is not in force, so there is nothing to heal")
        if self._holding is not None:
            self._holding.cancel()
        await self._released.wait()
        self._waiter = healer._waiter
        await self._heal()

    async def wait_until(self, t_ns: int) -> None:
        """See api.FaultContext."""
        assert self._waiter is not None
        await self._waiter.until(t_ns)

    @property
    def in_force(self) -> bool:
        return self.has_reached(FaultStage.INJECTED) and not self.has_reached(FaultStage.HEALED)

    def has_reached(self, stage: FaultStage) -> bool:
        return any(reached is stage for reached, _ in self.stages)

    def is_due(self, end_ns: int) -> bool:
        return self._next_ns is not None and self._next_ns < end_ns

    def conclude(self) -> None:
        with self._reported():
            getattr(self._fault, "conclude", _nothing)()

    @property
    def failure(self) -> Proof | None:
        """Why it could not be injected or healed, or was skipped, if so."""
        return self._failure

    @property
    def is_proved(self) -> bool:
        return self.proof().status is ProofStatus.PROVED

    def proof(self) -> Proof:
        """What is known by now."""
        if self._failure is not None:
            return self._failure
        if not self.has_reached(FaultStage.INJECTED):
            return Proof(ProofStatus.NEVER_FIRED, self._why_never())
        with self._reported():
            proof: Proof = self._fault.proved()
            return proof
        return self.proof()

    def result(self) -> CheckResult:
        """The proof as a result of its own: a required fault that is not proved fails the run."""
        proof = self.proof()
        label = f"fault {self.spec.id}: {self.description}"
        severity = Outcome.FAIL if self.spec.required else Outcome.WARN
        outcome = Outcome.PASS if proof.status is ProofStatus.PROVED else severity
        message = proof.message if outcome is Outcome.PASS else f"{proof.status}: {proof.message}"
        measured = {"id": self.spec.id, "kind": self.spec.kind, "status": proof.status.value}
        judgement = Judgement(outcome, message, tuple(self.evidence), severity, measured)
        return CheckResult(FAULT, label, judgement, self.spec.source)

    def record(self) -> FaultRecord:
        proof = self.proof()
        return FaultRecord(
            id=self.spec.id,
            kind=self.spec.kind,
            description=self.description,
            required=self.spec.required,
            when=None if self.spec.when is None else str(self.spec.when),
            at_ns=self.due_ns if self.spec.at_ns is None else self.spec.at_ns,
            for_ns=self.spec.for_ns,
            # What was seen becomes known after it happened.
            stages=tuple(sorted(self.stages, key=lambda stage: stage[1])),
            status=proof.status,
            message=proof.message,
            evidence=tuple(self.evidence),
        )

    async def _due(self, waiter: Waiter) -> int:
        """Return when it is time, and what time that is."""
        if self._sighting is not None:
            return await waiter.until_seen(self._sighting, self._trigger.after_ns)
        await waiter.until(self._trigger.after_ns)
        return self._trigger.after_ns

    async def _act(self, waiter: Waiter, due_ns: int) -> None:
        self._next_ns = due_ns
        follows = self._trigger.follows
        if follows is not None and not self._others.reached(follows.fault, follows.stage):
            return  # it never fires: see `_why_never`
        self._others.take(self.spec.id, self._claims)
        try:
            await self._fault.inject()
        finally:
            if not (self.in_force and self._lasts):
                self._others.give_back(self.spec.id)
        if not getattr(self._fault, "heals", True):
            self._others.give_back(self.spec.id)
        end_ns = None if self.spec.for_ns is None else due_ns + self.spec.for_ns
        self._next_ns = end_ns
        if end_ns is None:
            await self._hold(None)
            return
        try:
            with self._reported():
                if not await self._hold(end_ns):
                    await waiter.until(end_ns)
        finally:
            with anyio.move_on_after(HEALING_S, shield=True):
                await self._heal()

    async def _hold(self, until_ns: int | None) -> bool:
        """Let the fault act on until it is healed; False when it is not of that kind."""
        hold = getattr(self._fault, "hold", None)
        if hold is not None:
            with anyio.CancelScope() as self._holding:
                await hold(until_ns)
        return hold is not None

    async def _heal(self) -> None:
        with self._reported():
            await self._fault.heal()
        self._others.give_back(self.spec.id)

    def _why_never(self) -> str:
        follows = self._trigger.follows
        if isinstance(follows, FaultReached) and self.due_ns is not None:
            return f"{follows.fault} was not {follows.stage}"
        if self.spec.when is not None:
            return f"nothing met its condition: {self.spec.when}"
        return "the run ended before it was injected"

    def take(self, stage: FaultStage, t_ns: int, data: Mapping[str, Any]) -> None:
        """The fault has reached a stage."""
        self.stages.append((stage, t_ns))
        if "capture" in data:
            self.evidence.append(Evidence(data["capture"], frame=data.get("frame"), note=stage.value))
        elif "console" in data:
            self.evidence.append(Evidence(data["console"], line=data.get("line"), note=stage.value))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """What goes wrong inside is told as the fault's own failure: it must not take the run down, nor pass."""
        try:
            yield
        except Exception as error:  # a third party's, too
            self._report(error)

    def _report(self, error: Exception) -> None:
        if isinstance(error, FaultSkippedError):
            self._fail(ProofStatus.SKIPPED, FaultStage.SKIPPED, error.message)
        elif isinstance(error, SwarmrigError):
            self._fail(ProofStatus.FAILED, FaultStage.FAILED, error.message)
        else:
            reason = f"the fault itself failed: {type(error).__name__}: {error}"
            self._fail(ProofStatus.FAILED, FaultStage.FAILED, reason)

    def _fail(self, status: ProofStatus, stage: FaultStage, reason: str) -> None:
        if self._failure is None:
            self._failure = Proof(status, reason)
            self._context.emit(stage, {"reason": reason})


def _nothing() -> None:
    """Most faults conclude nothing that they have not concluded before."""
