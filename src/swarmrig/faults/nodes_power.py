"""Faults that take a node's power, or its life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import FaultContext, NodePlan, Proof, ProofStatus
from swarmrig.api.params import DurationNs, Params
from swarmrig.faults.nodes import BootParams, said
from swarmrig.faults.observation import pointer
from swarmrig.faults.silence import SilentFault
from swarmrig.model.facts import Fact, FaultChange, FaultStage, NodeChange, NodeState
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration


class RestartPolicy(Params):
    """What becomes of a node that has crashed."""

    after: DurationNs = 1_000_000_000
    """How long it is down."""
    max: int = Field(3, ge=1)
    """How often it is started again in a run; when it crashes once more, it stays down."""


class CrashParams(BootParams):
    """The node, and what becomes of it."""

    restart: RestartPolicy | None = None
    """`after`: how long it is down (1s); `max`: how often it is started again (3). Without, it stays down."""


class DarkFault(SilentFault):
    """Base of faults during which a node has no power; its end is the boot that follows."""

    params_model: ClassVar[type[BootParams]] = BootParams
    needs: ClassVar[frozenset[str]] = frozenset({"CanPowerCycle"})
    effect_words = "was the last of it before its power went"
    end_words = "says that it boots"
    no_end = "{what} did not say that it boots"

    def shows_end(self, fact: Fact) -> bool:
        return said(fact, self.what, str(self.spec.params["says"]))


class PowerCycle(DarkFault):
    """A node's power goes, and comes back when the fault heals.

    Its emulator is killed at that very moment and started anew from the same flash: RAM and devices have forgotten
    everything. What is sent to it meanwhile is lost. Without `for` it stays off, until a `heal`.
    """

    verb = "cut the power of"
    evidence: ClassVar[str] = (
        "In as long a time before, the node was heard five times or more; not while it had no power; then its console "
        "said that it boots."
    )
    example: ClassVar[str] = "{at: 10s, power_cycle: {node: a, for: 2s}}"

    async def inject(self) -> None:
        at_ns = self.now()
        await self.node.power_off()
        self.injected(at_ns, node=self.what)

    async def heal(self) -> None:
        at_ns = self.now()
        await self.node.power_on()
        self.healed(at_ns, node=self.what)


class Crash(DarkFault):
    """A node's process is killed by SIGKILL.

    Without a restart policy the node has ended, for the rest of the run. With `restart: {after: 1s, max: 3}` it starts
    again so long after the crash, from the flash as the crash left it, at most so many times in a run (over all faults
    of this kind); then it stays down.
    """

    params_model: ClassVar[type[CrashParams]] = CrashParams
    verb = "crash"
    needs: ClassVar[frozenset[str]] = frozenset({"CanKill"})
    heals: ClassVar[bool] = False
    ends_nodes: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "Who guards the processes saw this one end by SIGKILL. When it is started again: the node was silent "
        "meanwhile, and then its console said that it boots."
    )
    example: ClassVar[str] = "{at: 10s, crash: {node: a, restart: {after: 1s}}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        policy = spec.params.get("restart")
        self._policy = None if policy is None else RestartPolicy.model_construct(**policy)
        self._restarts = 0
        # Its own restart is what heals this one.
        self.heals = self._policy is not None  # type: ignore[misc]

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """What will be killed, and when it is started again; ValueError when that is after the end."""
        text = super().resolve(spec, scenario, network)
        policy = spec.params.get("restart")
        if policy is None:
            return text
        if spec.at_ns is not None and spec.at_ns + policy["after"] >= scenario.duration_ns:
            raise ValueError(f"the restart after {format_duration(policy['after'])} is not within the run")
        return f"{text}, start it again after {format_duration(policy['after'])} (at most {policy['max']} times)"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        """The rest of the node's life, unless it is started again."""
        return frozenset() if spec.params.get("restart") else super().claims(spec, scenario, network)

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """Starting again is more than every node that can be killed can do."""
        node = scenario.find_node(spec.params["node"])
        if spec.params.get("restart") and node and "CanPowerCycle" not in plans[node.id].capabilities:
            raise ValueError(f"restart needs CanPowerCycle, which node {node.id} (kind {node.kind}) does not have")

    async def inject(self) -> None:
        at_ns = self.now()
        if self._will_restart:
            await self.node.power_off()
        else:
            await self.node.kill()
        self.injected(at_ns, node=self.what)

    async def hold(self, until_ns: int | None) -> None:  # noqa: ARG002 - it is never given one
        """Start again when it is time."""
        if self._policy is None or not self._will_restart or self.injected_ns is None:
            return
        await self.context.wait_until(self.injected_ns + self._policy.after)
        at_ns = self.now()
        await self.node.power_on()
        self.healed(at_ns, node=self.what)

    async def heal(self) -> None:
        """The restart policy does, if anything."""

    def observe(self, fact: Fact) -> None:
        """Counts the restarts of the node, by whichever fault."""
        if isinstance(fact, FaultChange) and fact.kind == self.spec.kind and fact.stage is FaultStage.HEALED:
            self._restarts += fact.data.get("node") == self.what and fact.fault != self.spec.id
        super().observe(fact)

    def shows_effect(self, fact: Fact) -> bool:
        return isinstance(fact, NodeChange) and fact.node == self.what and _was_killed(fact)

    def _is_during_or_unhealed(self, t_ns: int) -> bool | None:
        """In virtual time, the end of the process has the very time of the crash."""
        return t_ns >= self.injected_ns if self.injected_ns is not None else None

    def proved(self) -> Proof:
        proof = super().proved()
        if isinstance(self._effect.found, NodeChange) and proof.status is ProofStatus.PROVED:
            told = f"the process of {self.what} ended by SIGKILL ({pointer(self._effect.found)})"
            return Proof(ProofStatus.PROVED, told)
        if proof.status is ProofStatus.PROVED and self._will_restart and self.healed_ns is None:
            return Proof(ProofStatus.INDETERMINATE, f"{proof.message}, but {self.what} was not started again")
        return proof

    @property
    def _will_restart(self) -> bool:
        return self._policy is not None and self._restarts < self._policy.max


def _was_killed(change: NodeChange) -> bool:
    data: Mapping[str, Any] = change.data
    return change.state is NodeState.EXITED and data.get("signal") == 9
