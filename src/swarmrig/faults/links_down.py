"""Links that are down: all those of a node, or one that comes and goes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from pydantic import model_validator

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.api.params import DurationNs, Params, Share
from swarmrig.faults.links_place import LinkParams, Name, how_long, node_id, place_of
from swarmrig.faults.observation import ObservedFault, evidence_data, pointer
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.net.topology import links_of_site

DOWN = {"up": False}
_SHORTEST_PERIOD_NS = 1_000_000


def down_claims(links: Sequence[str]) -> frozenset[str]:
    """Whether a link is up is for one fault at a time to say: else nobody could tell whose doing it is."""
    return frozenset(f"take the link {link} down" for link in links)


class WifiKillParams(Params):
    """The node whose radio dies."""

    bare: ClassVar[str | None] = "node"
    node: Name
    """The node that loses its links."""


class WifiKill(ObservedFault):
    """The node's radio is dead: every link that leads away from it is down, until it heals.

    Where a node forwards for others (the hub of a star, a router of a line or ring) these are cut off as well. The
    node itself runs on.
    """

    params_model: ClassVar[type[Params]] = WifiKillParams
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "A frame that entered one of the node's links was dropped because it is down, and none was delivered on any of "
        "them meanwhile; after healing, a frame was delivered again."
    )
    example: ClassVar[str] = "{at: 10s, wifi_kill: {node: a, for: 5s}}"

    effect_words = "was dropped"
    end_words = "crossed after healing"
    contrary_words = "was delivered although the link was down"
    no_effect = "no frame tried to reach or leave {what} while its links were down"
    no_end = "no frame reached or left {what} after they came back"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._links = self.links(spec, context.scenario, context.network)

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:  # noqa: ARG003
        return node_id(scenario, spec.params["node"])

    @classmethod
    def links(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> list[str]:
        """The links that go down. ValueError when there is none."""
        node = cls.target(spec, scenario, network)
        found = [link.name for link in links_of_site(network, node)]
        if not found:
            raise ValueError(f"{node} has no link")
        return found

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        links = ", ".join(cls.links(spec, scenario, network))
        return f"kill the radio of {cls.target(spec, scenario, network)} ({links}) {how_long(spec)}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        return down_claims(cls.links(spec, scenario, network))

    async def inject(self) -> None:
        control = self.context.links
        times = [await control.set_link(link, DOWN, layer=self.spec.id) for link in self._links]
        self.injected(max(times), node=self.what, links=", ".join(self._links))

    async def heal(self) -> None:
        control = self.context.links
        times = [await control.set_link(link, {}, layer=self.spec.id) for link in self._links]
        self.healed(min(times), node=self.what, links=", ".join(self._links))

    def shows_effect(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.link in self._links and fact.fate is Fate.DOWN

    def shows_contrary(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.link in self._links and fact.delivered

    def shows_end(self, fact: Fact) -> bool:
        return self.shows_contrary(fact)


class FlapParams(LinkParams):
    """The link, and how it comes and goes."""

    period: DurationNs = NS_PER_S
    """From one fall to the next."""
    down: Share = 0.5
    """The share of each period in which the link is down."""

    @model_validator(mode="after")
    def _both(self) -> FlapParams:
        if self.period < _SHORTEST_PERIOD_NS:
            raise ValueError(f"a period takes {format_duration(_SHORTEST_PERIOD_NS)} at least")
        if not 0 < self.down_ns < self.period:
            raise ValueError("the link must be down for a part of each period, and up for the rest")
        return self

    @property
    def down_ns(self) -> int:
        return round(self.period * self.down)


class Flap:
    """The link goes down and comes up again, over and over, until it heals.

    Each period begins with the fall.
    """

    params_model: ClassVar[type[Params]] = FlapParams
    needs: ClassVar[frozenset[str]] = frozenset()
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "A frame was dropped because the link is down, a later one was delivered while it was up in between, and "
        "another one was dropped after that; none was delivered while it was down. After healing, a frame was "
        "delivered."
    )
    example: ClassVar[str] = "{at: 10s, flap: {between: [a, lan], period: 1s, down: 50%, for: 5s}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self._spec = spec
        self._context = context
        self._link = place_of(spec.params, context.scenario, context.network).link
        self._params = FlapParams.model_construct(**spec.params)
        self._turns: list[int] = []
        """When the link fell, rose, fell, …"""
        self._turning_since_ns: int | None = None
        self._waiting: list[Frame] = []
        self._healed_ns: int | None = None
        self._seen: list[Frame] = []
        """What shows the effect: dropped, delivered, dropped."""
        self._leak: Frame | None = None
        self._after: Frame | None = None

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        params = FlapParams.model_construct(**spec.params)
        if spec.for_ns is not None and spec.for_ns <= params.period:
            raise ValueError(
                f"in {format_duration(spec.for_ns)}, with a period of {format_duration(params.period)}, the link does "
                "not fall a second time: that is a cut"
            )
        link = place_of(spec.params, scenario, network).link
        down, period = format_duration(params.down_ns), format_duration(params.period)
        return f"flap the link {link}, {down} down every {period}, {how_long(spec)}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        return down_claims([place_of(spec.params, scenario, network).link])

    async def inject(self) -> None:
        t_ns = await self._turn(up=False)
        self._context.emit(FaultStage.INJECTED, {"link": self._link, "t_ns": t_ns})
        self._catch_up()

    async def hold(self, until_ns: int | None) -> None:
        """Turn the link on and off until then."""
        falls_ns, up = self._turns[0], False
        while True:
            up = not up
            if not up:
                falls_ns += self._params.period
            next_ns = falls_ns + self._params.down_ns if up else falls_ns
            if until_ns is not None and next_ns >= until_ns:
                await self._context.wait_until(until_ns)
                return
            await self._context.wait_until(next_ns)
            await self._turn(up=up)
            self._catch_up()

    async def heal(self) -> None:
        self._healed_ns = await self._turn(up=True)
        self._context.emit(FaultStage.HEALED, {"link": self._link, "t_ns": self._healed_ns})
        self._catch_up()

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame) or fact.link != self._link or self._after is not None:
            return
        since_ns = self._turning_since_ns
        if since_ns is not None and fact.t_ns >= since_ns:  # not known yet whether it was before or after
            self._waiting.append(fact)
        else:
            self._judge(fact)

    def proved(self) -> Proof:
        if self._leak is not None:
            return Proof(ProofStatus.FAILED, f"{pointer(self._leak)} was delivered although the link was down")
        if len(self._seen) < 3:
            missing = ("fell", "was up again in between", "fell again")[len(self._seen)]
            return Proof(ProofStatus.INDETERMINATE, f"no frame showed that {self._link} {missing}")
        down, up, again = map(pointer, self._seen)
        seen = f"{down} was dropped, {up} crossed, {again} was dropped again"
        if self._healed_ns is None and self._spec.for_ns is None:
            return Proof(ProofStatus.PROVED, seen)
        if self._after is None:
            return Proof(ProofStatus.INDETERMINATE, f"{seen}, but no frame crossed {self._link} after it healed")
        return Proof(ProofStatus.PROVED, f"{seen}, {pointer(self._after)} crossed after healing")

    async def _turn(self, *, up: bool) -> int:
        """Let the link rise or fall. What happens meanwhile waits until its time can be compared."""
        self._turning_since_ns = self._context.now_ns()
        try:
            t_ns = await self._context.links.set_link(self._link, {} if up else DOWN, layer=self._spec.id)
        finally:
            self._turning_since_ns = None
        self._turns.append(t_ns)
        return t_ns

    def _catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._judge(frame)

    def _judge(self, frame: Frame) -> None:
        turns = bisect_left(self._turns, frame.t_ns)
        if turns == 0 or frame.t_ns in self._turns[turns : turns + 1]:  # before the first, or at the instant of one
            return
        down = turns % 2 == 1
        if self._healed_ns is not None and frame.t_ns > self._healed_ns:
            self._judge_after(frame)
        elif down and frame.delivered:
            self._leak = self._leak or frame
        elif len(self._seen) < 3:
            wanted = frame.delivered if len(self._seen) == 1 else down and frame.fate is Fate.DOWN
            if wanted:
                self._seen.append(frame)
                if len(self._seen) == 3:
                    self._context.emit(FaultStage.OBSERVED, evidence_data(frame))

    def _judge_after(self, frame: Frame) -> None:
        if frame.delivered:
            self._after = frame
            self._context.emit(FaultStage.HEAL_OBSERVED, evidence_data(frame))
