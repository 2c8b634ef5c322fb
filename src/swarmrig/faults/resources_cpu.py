"""A node that gets too little of its processor."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from swarmrig.api import CanStarve, FaultContext, NodePlan, Proof, ProofStatus
from swarmrig.api.params import DurationNs
from swarmrig.faults.nodes import NodeFault, NodeParams, heard
from swarmrig.faults.observation import evidence_data, pointer
from swarmrig.model.facts import Fact, FaultChange, FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import NS_PER_S, format_duration, parse_ratio

GRACE_NS = 30_000_000
"""In real time, what a node sent before it was stopped may arrive so much later."""
EXPECTED = 5
"""So often the node would have been heard while it had no processor, or its silence means nothing."""
KEPT = 4096

Share = Annotated[
    float,
    BeforeValidator(parse_ratio),
    Field(gt=0, lt=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}], "examples": ["10%", 0.1]}),
]


class StarveParams(NodeParams):
    """The node, and how much is left to it."""

    share: Share = 0.1
    """The part of the time in which it has a processor."""
    period: DurationNs = 200_000_000
    """How often it gets one and loses it again."""

    @model_validator(mode="after")
    def _long_enough(self) -> StarveParams:
        if self.period < 10_000_000:
            raise ValueError("`period` is at least 10ms")
        return self


class StarveCpu(NodeFault):
    """A node gets only a share of its processor: again and again, it stands still for most of a period.

    In real time its emulator is stopped and continued (SIGSTOP, SIGCONT), so that its clocks go on and its firmware
    finds itself late, as with a neighbour that takes the host's processor. In virtual time the node is paused and
    resumed at exact times; there its clock stands still as well.
    """

    looks_back: ClassVar[bool] = True
    params_model: ClassVar[type[StarveParams]] = StarveParams
    verb = "starve"
    claim = "decide whether {node} runs"
    needs: ClassVar[frozenset[str]] = frozenset({"CanPause"})
    evidence: ClassVar[str] = (
        "In the times without a processor nothing was heard of the node, although by what it did before it would have "
        "been heard five times or more; and it was heard after healing."
    )
    example: ClassVar[str] = "{at: 10s, starve_cpu: {node: a, share: 10%, for: 3s}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._share, self._period = float(spec.params["share"]), int(spec.params["period"])
        self._grace_ns = 0 if self.exact else GRACE_NS
        self._taken_ns: int | None = None
        self._windows: list[tuple[int, int]] = []
        self._before: deque[Fact] = deque(maxlen=KEPT)
        self._pending: deque[Fact] = deque(maxlen=KEPT)
        self._heard_inside: Fact | None = None
        self._after: Fact | None = None
        self._seen = False

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """Whom, and how much is left to it; ValueError when the node is not there."""
        period = format_duration(spec.params["period"])
        return f"leave {cls.target(spec, scenario, network)} {spec.params['share']:.0%} of its processor, " \
               f"{period} at a time,{cls.duration(spec)}"  # fmt: skip

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:  # noqa: ARG004
        """ValueError when it would heal before the first period is over."""
        if spec.for_ns is not None and spec.for_ns < spec.params["period"]:
            raise ValueError(f"it lasts {format_duration(spec.for_ns)}, less than one period")

    async def inject(self) -> None:
        at_ns = self.now()
        await self._take()
        self.injected(at_ns, node=self.what)

    async def hold(self, until_ns: int | None) -> None:
        """Take and give until it is over."""
        assert self.injected_ns is not None
        turn = self.injected_ns
        while until_ns is None or turn < until_ns:
            given = turn + round((1 - self._share) * self._period)
            await self.context.wait_until(given if until_ns is None else min(given, until_ns))
            await self._give()
            turn += self._period
            await self.context.wait_until(turn if until_ns is None else min(turn, until_ns))
            if until_ns is None or turn < until_ns:
                await self._take()

    async def heal(self) -> None:
        await self._give()
        self.healed(self.now(), node=self.what)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, FaultChange):  # known at once, other facts of that time are not yet
            return
        self._notice(fact.t_ns)
        if not heard(fact, self.what):
            return
        if self.injected_ns is None or fact.t_ns <= self.injected_ns:
            self._before.append(fact)
        elif self.healed_ns is None or fact.t_ns < self.healed_ns:
            self._pending.append(fact)
        elif self._after is None:
            self._after = fact
            self.context.emit(FaultStage.HEAL_OBSERVED, evidence_data(fact))

    def conclude(self) -> None:
        self._notice(self.now())

    def proved(self) -> Proof:
        if self.injected_ns is None:
            return Proof(ProofStatus.FAILED, f"{self.what} was never touched")
        if self._heard_inside is not None:
            return Proof(ProofStatus.FAILED, f"{pointer(self._heard_inside)} was heard all the same")
        if not self._seen:
            return Proof(ProofStatus.INDETERMINATE, f"{self.what} is heard too rarely: its silence means nothing")
        message = f"{self.what} was silent in {len(self._windows)} times without a processor"
        if self.healed_ns is not None and self._after is None:
            return Proof(ProofStatus.INDETERMINATE, f"{message}, but was not heard afterwards")
        after = f", {pointer(self._after)} was heard after healing" if self._after is not None else ""
        return Proof(ProofStatus.PROVED, message + after)

    async def _take(self) -> None:
        node = self.node
        if isinstance(node, CanStarve) and not self.exact:
            node.take_cpu()
        else:
            await node.pause()
        self._taken_ns = self.now()

    async def _give(self) -> None:
        if self._taken_ns is None:
            return
        node, given_ns = self.node, self.now()
        if isinstance(node, CanStarve) and not self.exact:
            node.give_cpu()
        else:
            await node.resume()
        self._windows.append((self._taken_ns + self._grace_ns, given_ns))
        self._taken_ns = None

    def _notice(self, now_ns: int) -> None:
        """In the windows that are over: was the node heard, or has it been silent for long enough to mean something?"""
        if self.injected_ns is None:
            return
        while self._pending and self._pending[0].t_ns < now_ns:
            fact = self._pending.popleft()
            if self._heard_inside is None and any(start < fact.t_ns < end for start, end in self._windows):
                self._heard_inside = fact
        if self._seen or self._heard_inside is not None or len(self._before) < EXPECTED:
            return
        silent = sum(max(0, end - start) for start, end in self._windows if end <= now_ns)
        if self._rate() * silent / NS_PER_S >= EXPECTED:
            self._seen = True
            last = max(self._before, key=lambda fact: fact.t_ns)
            self.context.emit(FaultStage.OBSERVED, {**evidence_data(last), "t_ns": now_ns})

    def _rate(self) -> float:
        """How often a second the node was heard before."""
        times = [fact.t_ns for fact in self._before if fact.t_ns <= (self.injected_ns or 0)]
        return (len(times) - 1) * NS_PER_S / max(1, max(times) - min(times)) if times else 0.0
