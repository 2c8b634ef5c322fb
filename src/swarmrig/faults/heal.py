"""Heal another fault, when the time or the event for that has come."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.api.params import Params
from swarmrig.model.facts import Fact, FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


class HealParams(Params):
    bare: ClassVar[str | None] = "fault"

    fault: str = Field(description="The id of the fault to heal: one that was injected for good.")


class Heal:
    """End another fault that was injected for good.

    The other fault has an `id`, and no `for`.
    """

    params_model: ClassVar[type[HealParams]] = HealParams
    needs: ClassVar[frozenset[str]] = frozenset()
    heals: ClassVar[bool] = False
    evidence: ClassVar[str] = "The healing of the other fault was observed, by the rule of its own kind."
    example: ClassVar[str] = "{at: 10s, id: dark, cut: {between: [a, lan]}}, {at: 15s, heal: dark}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self._fault = str(spec.params["fault"])
        self._context = context

    @staticmethod
    def resolve(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:  # noqa: ARG004
        """Which fault will be healed; ValueError when there is none of that id."""
        name = spec.params["fault"]
        if name not in {fault.id for fault in scenario.faults}:
            raise ValueError(f"there is no fault {name!r}")
        return f"heal {name}"

    async def inject(self) -> None:
        await self._context.faults.heal(self._fault)
        self._context.emit(FaultStage.INJECTED, {"fault": self._fault})

    async def heal(self) -> None:
        """It is over in an instant."""

    def observe(self, fact: Fact) -> None:
        """The fault that it heals does."""

    def proved(self) -> Proof:
        if self._context.faults.reached(self._fault, FaultStage.HEAL_OBSERVED):
            return Proof(ProofStatus.PROVED, f"{self._fault} was seen to have healed")
        return Proof(ProofStatus.INDETERMINATE, f"nothing showed that {self._fault} has healed")
