"""The power goes while the firmware writes to its flash."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from pydantic import Field

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.faults.nodes import BootParams
from swarmrig.faults.nodes_power import DarkFault
from swarmrig.faults.silence import REMEMBERED
from swarmrig.model.facts import Fact, FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


class PowerCutParams(BootParams):
    """The node, and at which store."""

    store: int = Field(ge=1, lt=1 << 32)
    """At which store into the range of the flash the power goes, counted from the time of the fault on. The commands to
    the flash chip are stores, too: programming a word takes four of them (reference firmware)."""


class PowerCut(DarkFault):
    """The power goes at exactly the n-th store that a node makes into its flash, and comes back when the fault heals.

    The node is watched from `at` on. Nothing is executed after that store, and nothing is flushed: the flash holds what
    the writes before it have left. When there are fewer stores until the fault heals, the power stays on and the fault
    is not proved. In real time, cut the power when the firmware tells of a write:
    `{when: {node: a, console: "write 3 of"}, power_cycle: {node: a, for: 1s}}`.
    """

    params_model: ClassVar[type[PowerCutParams]] = PowerCutParams
    verb = "cut the power of"
    needs: ClassVar[frozenset[str]] = frozenset({"CanCutPower", "CanPowerCycle", "HasFlash"})
    changes_flash: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "In as long a time before, the node was heard five times or more; not from the cut on until the power came "
        "back; then its console said that it boots."
    )
    example: ClassVar[str] = "{at: 10s, power_cut: {node: a, store: 17, for: 2s}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._armed = False
        self._watching = False
        self._waiting: deque[Fact] = deque(maxlen=REMEMBERED)
        """What was heard of the node since it is watched; only the healing tells when its power went."""

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """At which store, and until when; ValueError without `for`: nobody would look whether the power went."""
        if spec.for_ns is None:
            raise ValueError("say with `for` when the power is back")
        what = super().resolve(spec, scenario, network)
        return f"{what.removesuffix(cls.duration(spec))} at its store {spec.params['store']} into flash, back after " \
               f"{cls.duration(spec).removeprefix(' for ')}"  # fmt: skip

    async def inject(self) -> None:
        node = self.node
        base = node.flash_base
        await node.cut_power_at_store(base, node.flash_path.stat().st_size, self.spec.params["store"])
        self._armed = self._watching = True
        self.context.emit(FaultStage.INJECTED, {"t_ns": self.now(), "node": self.what, "armed": True})

    async def heal(self) -> None:
        at_ns = self.now()
        cut_ns = await self.node.call_off_cut()
        if cut_ns is None:
            self.context.emit(FaultStage.HEALED, {"t_ns": at_ns, "node": self.what, "called_off": True})
            return
        await self.node.power_on()
        self.injected_ns = cut_ns
        self.healed(at_ns, node=self.what, cut_ns=cut_ns)
        self._watching = False
        for fact in sorted(self._waiting, key=lambda fact: fact.t_ns):
            super().observe(fact)

    def observe(self, fact: Fact) -> None:
        """What the others do before the healing says nothing, and when it becomes known is chance."""
        if self._watching:
            if self.hears(fact):
                self._waiting.append(fact)
        elif self.healed_ns is None or fact.t_ns >= self.healed_ns or self.hears(fact):
            super().observe(fact)

    def proved(self) -> Proof:
        if self._armed and self.injected_ns is None:
            reason = (
                f"{self.what} did not make {self.spec.params['store']} stores into its flash, so its power stayed on"
            )
            return Proof(ProofStatus.INDETERMINATE, reason)
        return super().proved()
