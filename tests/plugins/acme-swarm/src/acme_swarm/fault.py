"""Tell a node to be silent, for a while or for good."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.model.facts import ConsoleLine, Fact, FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


class MuteParams(BaseModel):
    """Which node."""

    model_config = ConfigDict(extra="forbid")

    node: str = Field(description="The node that falls silent.")


class Mute:
    """The node is told to send nothing. Proved by what it answers itself."""

    params_model: ClassVar[type[BaseModel]] = MuteParams
    needs: ClassVar[frozenset[str]] = frozenset({"HasConsole"})

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self._node = str(spec.params["node"])
        self._context = context
        self._forever = spec.for_ns is None
        self._muted = self._unmuted = False

    @staticmethod
    def resolve(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        node = str(spec.params["node"])
        if node not in {one.id for one in scenario.nodes}:
            raise ValueError(f"there is no node {node!r}")
        return f"mute {node}"

    async def inject(self) -> None:
        await self._context.nodes[self._node].write_console(b"mute\n")
        self._context.emit(FaultStage.INJECTED, {"node": self._node})

    async def heal(self) -> None:
        await self._context.nodes[self._node].write_console(b"unmute\n")
        self._context.emit(FaultStage.HEALED, {"node": self._node})

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, ConsoleLine) or fact.node != self._node:
            return
        if fact.text == "muted" and not self._muted:
            self._muted = True
            self._context.emit(FaultStage.OBSERVED, {"line": fact.line})
        if fact.text == "unmuted" and self._muted and not self._unmuted:
            self._unmuted = True
            self._context.emit(FaultStage.HEAL_OBSERVED, {"line": fact.line})

    def proved(self) -> Proof:
        if not self._muted:
            return Proof(ProofStatus.INDETERMINATE, f"{self._node} never said that it was muted")
        if not self._unmuted and not self._forever:
            return Proof(ProofStatus.INDETERMINATE, f"{self._node} never said that it was heard again")
        return Proof(ProofStatus.PROVED, f"{self._node} said so")
