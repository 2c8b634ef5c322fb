"""Cut the link between two nodes, for a while or for good."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from swarmrig.api.params import Params
from swarmrig.faults.observation import ObservedFault, node_or_place
from swarmrig.model.facts import Fact, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration
from swarmrig.net.topology import link_between


class CutParams(Params):
    """The two nodes whose link is cut."""

    between: tuple[str | int, str | int] = Field(description="The two ends of the link: nodes, `lan` or `aggregator`.")

    @field_validator("between")
    @classmethod
    def _two(cls, value: tuple[str | int, str | int]) -> tuple[str | int, str | int]:
        if value[0] == value[1]:
            raise ValueError(f"a link joins two different nodes, not {value[0]!r} and itself")
        return value


class Cut(ObservedFault):
    """The link between two nodes drops every frame, in both directions, until it heals.

    Of a node in a mesh, the link is the one to the switch: `between: [a, lan]`.
    """

    params_model: ClassVar[type[CutParams]] = CutParams
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "A frame that entered the link was dropped because it is down, and none was delivered meanwhile; after "
        "healing, a frame was delivered again. When nothing tries to cross, neither is proved."
    )
    example: ClassVar[str] = "{at: 10s, cut: {between: [a, lan], for: 5s}}"

    effect_words = "was dropped"
    end_words = "crossed after healing"
    contrary_words = "was delivered although the link was down"
    no_effect = "no frame tried to cross {what} while it was down"
    no_end = "no frame crossed {what} after it healed"

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """The link's name. Nodes are named by id, or by number."""
        a, b = (node_or_place(name, scenario) for name in spec.params["between"])
        return link_between(network, a, b)

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """The link that will be cut; ValueError when the two nodes have none between them."""
        duration = "for good" if spec.for_ns is None else f"for {format_duration(spec.for_ns)}"
        return f"cut the link {cls.target(spec, scenario, network)} {duration}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        """Whether the link is up."""
        return frozenset({f"take the link {cls.target(spec, scenario, network)} down"})

    async def inject(self) -> None:
        self.injected(await self._set({"up": False}), link=self.what)

    async def heal(self) -> None:
        self.healed(await self._set({}), link=self.what)

    async def _set(self, changes: dict[str, bool]) -> int:
        """In a layer of its own: what else has happened to the link stays as it is."""
        return await self.context.links.set_link(self.what, changes, layer=self.spec.id)

    def shows_effect(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.link == self.what and fact.fate is Fate.DOWN

    def shows_contrary(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.link == self.what and fact.delivered

    def shows_end(self, fact: Fact) -> bool:
        return self.shows_contrary(fact)
