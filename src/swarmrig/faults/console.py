"""Faults by way of a node's console: somebody types, or nobody reads."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from swarmrig.api import FaultSkippedError
from swarmrig.api.nodes import CanStallConsole
from swarmrig.faults.nodes import Expression, NodeFault, NodeParams, said
from swarmrig.faults.silence import SilentFault
from swarmrig.model.facts import ConsoleLine, Fact
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


class TypeParams(NodeParams):
    """What is typed, and what shows that it was understood."""

    text: str = Field(min_length=1)
    """Typed as it stands, with a line end behind it."""
    says: Expression
    """What the node answers (regular expression): a line that comes after the typing."""


class ConsoleType(NodeFault):
    """Type a line on a node's console.

    Whatever the firmware understands: `reboot`, `panic`, a wrong setting.
    """

    params_model: ClassVar[type[TypeParams]] = TypeParams
    verb = "type on the console of"
    needs: ClassVar[frozenset[str]] = frozenset({"HasConsole"})
    heals: ClassVar[bool] = False
    evidence: ClassVar[str] = "After the typing, the node's console had a line in which `says` is found."
    example: ClassVar[str] = "{at: 10s, console_type: {node: a, text: stats, says: uptime_ms=}}"
    effect_words = "answers"
    no_effect = "{what} did not answer as expected"

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """What is typed where; ValueError when the node is not there."""
        return f"type {spec.params['text']!r} on the console of {cls.target(spec, scenario, network)}"

    async def inject(self) -> None:
        at_ns = self.now()
        await self.node.write_console(f"{self.spec.params['text']}\n".encode())
        self.injected(at_ns, node=self.what)

    async def heal(self) -> None:
        """It is over in an instant."""

    def shows_effect(self, fact: Fact) -> bool:
        return said(fact, self.what, str(self.spec.params["says"]))


class ConsoleStall(SilentFault):
    """Nobody reads a node's console: its UART fills up, and firmware that waits for it gets stuck.

    Some hundred bytes fit into the line first. In virtual time the console is taken at the very instant at which the
    firmware writes it, so there is nothing to stall: the fault is skipped there.
    """

    verb = "stall the console of"
    claim = "stall the console of {node}"
    needs: ClassVar[frozenset[str]] = frozenset({"HasConsole"})
    evidence: ClassVar[str] = (
        "In as long a time before, the console had five lines or more; none while nobody read it; and what had been "
        "held up came afterwards."
    )
    example: ClassVar[str] = "{at: 10s, console_stall: {node: a, for: 3s}, required: false}"
    effect_words = "was the last line before the stall"
    end_words = "came through again"

    async def inject(self) -> None:
        node = self.node
        if not isinstance(node, CanStallConsole):
            raise FaultSkippedError(
                f"the console of {self.what} is taken by virtual time, which does not wait to be read"
            )
        node.stall_console()
        self.injected(self.now(), node=self.what)

    async def heal(self) -> None:
        at_ns = self.now()
        self.node.unstall_console()
        self.healed(at_ns, node=self.what)

    def hears(self, fact: Fact) -> bool:
        """Frames go another way."""
        return isinstance(fact, ConsoleLine) and fact.node == self.what
