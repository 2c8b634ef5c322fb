"""A partition: sets of nodes that cannot talk to each other."""

from __future__ import annotations

from typing import ClassVar

from pydantic import field_validator

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.api.params import Params
from swarmrig.faults.links_down import DOWN, down_claims
from swarmrig.faults.links_place import Name, how_long, node_id
from swarmrig.faults.observation import Candidates, ObservedFault, evidence_data, pointer
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.net.partition import Barrier, barriers


class PartitionParams(Params):
    """Who is parted from whom."""

    bare: ClassVar[str | None] = "sets"
    sets: tuple[tuple[Name, ...], ...]
    """Two or more lists of nodes; `aggregator` may be in one of them. Who is in none talks to all."""

    @field_validator("sets")
    @classmethod
    def _several(cls, value: tuple[tuple[Name, ...], ...]) -> tuple[tuple[Name, ...], ...]:
        if len(value) < 2 or not all(value):
            raise ValueError("expected two or more sets, with a node in each")
        return value


class Partition(ObservedFault):
    """Sets of nodes cannot talk to each other; within a set, and with nodes in none, everything goes on.

    Where nodes meet at a switch (star, mesh), their links drop what comes from the other sets, by source address. In a
    line, a ring or another routed network the links between the sets go down; a node that is in no set must not join
    them.
    """

    params_model: ClassVar[type[Params]] = PartitionParams
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "For every set, a frame from or to another one was stopped at the border, and none crossed it meanwhile; after "
        "healing, for every set one crossed again."
    )
    example: ClassVar[str] = "{at: 10s, partition: {sets: [[a, aggregator], [b, c]], for: 5s}}"

    contrary_words = "crossed the border of the sets"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._barriers = _barriers(spec, context.scenario, context.network)
        self._sides = [(Candidates(), Candidates()) for _ in spec.params["sets"]]
        """Of each set, what was stopped, and what crossed after healing."""

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:  # noqa: ARG003
        sets = (", ".join(node_id(scenario, name) for name in members) for members in spec.params["sets"])
        return " | ".join(sets)

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        links = dict.fromkeys(each.link for each in _barriers(spec, scenario, network))
        return f"part {cls.target(spec, scenario, network)} (at {', '.join(links)}) {how_long(spec)}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        return down_claims([each.link for each in _barriers(spec, scenario, network)])

    async def inject(self) -> None:
        times = [t_ns for barrier in self._barriers for t_ns in await self._raise(barrier)]
        self.injected(max(times), sets=self.what)

    async def heal(self) -> None:
        times = [t_ns for barrier in self._barriers for t_ns in await self._lower(barrier)]
        self.healed(min(times), sets=self.what)

    async def _raise(self, barrier: Barrier) -> list[int]:
        control, layer = self.context.links, self.spec.id
        if barrier.sources is None:
            return [await control.set_link(barrier.link, DOWN, layer=layer)]
        return [
            await control.set_filter(barrier.link, text, direction=self._direction(barrier), layer=f"{layer} {index}")
            for index, text in enumerate(barrier.filters())
        ]

    async def _lower(self, barrier: Barrier) -> list[int]:
        control, layer = self.context.links, self.spec.id
        if barrier.sources is None:
            return [await control.set_link(barrier.link, {}, layer=layer)]
        return [
            await control.set_filter(barrier.link, None, direction=self._direction(barrier), layer=f"{layer} {index}")
            for index, _ in enumerate(barrier.filters())
        ]

    def _direction(self, barrier: Barrier) -> str:
        return "forward" if barrier.sender == self.context.network.link(barrier.link).a else "backward"

    def shows_contrary(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.delivered and bool(self._parted(fact))

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame) or fact.t_ns < (self.spec.at_ns or 0):
            return
        for index in self._parted(fact):
            stopped, crossed = self._sides[index]
            if fact.fate in (Fate.DOWN, Fate.BLACKHOLE):
                stopped.add(fact)
            elif fact.delivered:
                crossed.add(fact)
                self._contrary.add(fact)
        self._settle()

    def proved(self) -> Proof:
        if self._contrary.found is not None:
            return Proof(ProofStatus.FAILED, f"{pointer(self._contrary.found)} {self.contrary_words}")
        stopped, crossed = zip(*self._sides, strict=True)
        if (unseen := self._unseen(stopped)) is not None:
            return Proof(ProofStatus.INDETERMINATE, f"no frame tried to leave or reach the set {unseen}")
        seen = f"{', '.join(_pointers(stopped))} stopped at the border"
        if self.spec.for_ns is None and self.healed_ns is None:
            return Proof(ProofStatus.PROVED, seen)
        if (unseen := self._unseen(crossed)) is not None:
            return Proof(ProofStatus.INDETERMINATE, f"{seen}, but after healing none left or reached the set {unseen}")
        return Proof(ProofStatus.PROVED, f"{seen}, {', '.join(_pointers(crossed))} crossed after healing")

    def _parted(self, frame: Frame) -> tuple[int, ...]:
        return next(
            (found for each in self._barriers if each.link == frame.link
             and (found := each.parted(frame.sender, frame.data))), ()
        )  # fmt: skip

    def _unseen(self, side: tuple[Candidates, ...]) -> str | None:
        missing = (index for index, each in enumerate(side) if each.found is None)
        return next((self.what.split(" | ")[index] for index in missing), None)

    def _settle(self) -> None:
        if self.injected_ns is None:
            return
        self._contrary.settle(self._is_during)
        stopped, crossed = zip(*self._sides, strict=True)
        for side, inside, stage in (
            (stopped, self._is_during_or_unhealed, FaultStage.OBSERVED),
            (crossed, self._is_after, FaultStage.HEAL_OBSERVED),
        ):
            settled = [each.found for each in side if each.settle(inside)]
            if settled and all(each.found is not None for each in side):
                last = max((each.found for each in side if each.found is not None), key=lambda fact: fact.t_ns)
                self.context.emit(stage, evidence_data(last))


def _pointers(side: tuple[Candidates, ...]) -> list[str]:
    """Where it is told, each place once."""
    return list(dict.fromkeys(pointer(each.found) for each in side if each.found is not None))


def _barriers(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> list[Barrier]:
    return barriers(network, [[node_id(scenario, name) for name in members] for members in spec.params["sets"]])
