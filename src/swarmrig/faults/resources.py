"""Faults of what a node lives on: its heap, and its timers' turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import field_validator

from swarmrig.api import FaultContext, NodePlan
from swarmrig.api.params import DurationNs
from swarmrig.elf import SymbolError
from swarmrig.errors import NodeError
from swarmrig.faults.memory_place import image_of, place_of_symbol
from swarmrig.faults.nodes import BOOT, Expression, NodeFault, NodeParams, said
from swarmrig.model.facts import ConsoleLine, Fact, Frame
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration
from swarmrig.wire.decode import decode

LIMIT = "heap_limit"
"""Symbol of the reference firmware: how many bytes the allocator gives away at most (u32)."""
LEAK = "leak"
"""Its console command that allocates everything down to the last byte, and frees none."""
NOTHING_LEFT = r"HEAP_ERROR|out of memory|heap_caps_alloc.*failed|malloc.*fail"
LATE = r"starved: served (\d+) ms late"
ENOUGH = 0.8
"""Share of the asked time by which timers must have been late: they were not all due at its very beginning."""


class HeapExhaustParams(NodeParams):
    """The node, and how its heap is used up."""

    how: Literal["limit", "leak"] | None = None
    """limit: the allocator's limit (symbol `heap_limit`) becomes 0. leak: the console command `leak` allocates all.
    Default: limit where the node's ELF file has the symbol, else leak."""
    says: Expression = NOTHING_LEFT
    """What the node says when it gets no memory (regular expression)."""


class HeapExhaust(NodeFault):
    """A node's heap is used up: its allocator really gives no more memory.

    By `limit`, the healing is that the limit is what it was; by `leak`, it is a reset.
    """

    params_model: ClassVar[type[HeapExhaustParams]] = HeapExhaustParams
    verb = "exhaust the heap of"
    claim = "use up the heap of {node}"
    evidence: ClassVar[str] = (
        "The node's console said that an allocation failed. After healing: it sent vitals again, whose memory it "
        "allocates; or, after a leak, it said that it boots."
    )
    example: ClassVar[str] = "{at: 10s, heap_exhaust: {node: a, for: 3s}}"
    effect_words = "says that there is no memory"
    end_words = "shows that there is memory again"
    no_effect = "{what} did not say that an allocation failed"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._old: bytes | None = None
        self._address: int | None = None

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the node has neither the symbol nor a console."""
        node = scenario.find_node(spec.params["node"])
        assert node is not None
        plan, how = plans[node.id], spec.params.get("how")
        if how == "limit":
            if "HasMemory" not in plan.capabilities:
                raise ValueError(f"how: limit needs HasMemory, which node {node.id} (kind {node.kind}) does not have")
            if image_of(plan.memory, f"the symbol {LIMIT!r}") is not None:
                place_of_symbol(plan.memory, LIMIT)
        elif _limit_of(plan) is None or how == "leak":
            missing = {"HasConsole", "CanReset"} - plan.capabilities
            if missing:
                raise ValueError(f"it needs {min(missing)}, which node {node.id} (kind {node.kind}) does not have")

    async def inject(self) -> None:
        at_ns = self.now()
        self._address = None if self.spec.params.get("how") == "leak" else _limit_of(self.plan)
        if self._address is None and self.spec.params.get("how") == "limit":
            raise NodeError(self.what, f"its memory is not reached by the symbol {LIMIT}")
        if self._address is None:
            await self.node.write_console(f"{LEAK}\n".encode())
            self.injected(at_ns, node=self.what, how="leak")
        else:
            self._old = await self.node.read_memory(self._address, 4)
            await self.node.write_memory(self._address, bytes(4))
            self.injected(at_ns, node=self.what, how="limit", before=self._old.hex())

    async def heal(self) -> None:
        at_ns = self.now()
        if self._address is None or self._old is None:
            await self.node.reset()
        else:
            await self.node.write_memory(self._address, self._old)
        self.healed(at_ns, node=self.what)

    def shows_effect(self, fact: Fact) -> bool:
        return said(fact, self.what, str(self.spec.params["says"]))

    def shows_end(self, fact: Fact) -> bool:
        if self._address is None:
            return said(fact, self.what, BOOT)
        return isinstance(fact, Frame) and fact.sender == self.what and decode(fact.data).vitals is not None


class TimerStarvationParams(NodeParams):
    """The node, and for how long."""

    lasts: DurationNs = 500_000_000
    """How long no timer of the firmware is served."""
    says: Expression = LATE
    """What the node says when timers were late (regular expression); its first group, if it has one, is a number of
    milliseconds."""

    @field_validator("lasts")
    @classmethod
    def _whole(cls, value: int) -> int:
        if value < 1_000_000:
            raise ValueError("`lasts` is at least 1ms")
        return value


class TimerStarvation(NodeFault):
    """The timers of a node's firmware are not served for a while, as if something of higher priority took all the time.

    The console command `starve MS` of the reference firmware does it; frames and console are served meanwhile.
    """

    params_model: ClassVar[type[TimerStarvationParams]] = TimerStarvationParams
    verb = "starve the timers of"
    needs: ClassVar[frozenset[str]] = frozenset({"HasConsole"})
    heals: ClassVar[bool] = False
    evidence: ClassVar[str] = (
        "The firmware's own watch over its timers said that they were served late, by at least four fifths of the time "
        "that was asked for."
    )
    example: ClassVar[str] = "{at: 10s, timer_starvation: {node: a, lasts: 500ms}}"
    effect_words = "tells of timers that were late"
    no_effect = "{what} did not tell of timers that were late enough"

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """Whose timers, for how long; ValueError when the node is not there."""
        return f"{super().resolve(spec, scenario, network)} for {format_duration(spec.params['lasts'])}"

    async def inject(self) -> None:
        at_ns = self.now()
        await self.node.write_console(f"starve {self.spec.params['lasts'] // 1_000_000}\n".encode())
        self.injected(at_ns, node=self.what)

    async def heal(self) -> None:
        """It ends by itself."""

    def shows_effect(self, fact: Fact) -> bool:
        if not isinstance(fact, ConsoleLine) or fact.node != self.what:
            return False
        found = re.search(self.spec.params["says"], fact.text)
        if found is None:
            return False
        enough = ENOUGH * self.spec.params["lasts"] / 1_000_000
        return not found.groups() or ((found[1] or "").isdigit() and int(found[1]) >= enough)


def _limit_of(plan: NodePlan) -> int | None:
    """Address of the allocator's limit; None when the node does not have it, or its memory cannot be reached."""
    if "HasMemory" not in plan.capabilities:
        return None
    try:
        return place_of_symbol(plan.memory, LIMIT).address
    except (SymbolError, OSError):
        return None
