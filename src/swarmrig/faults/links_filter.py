"""A black hole: frames that match a filter vanish."""

from __future__ import annotations

from typing import ClassVar

from pydantic import field_validator

from swarmrig.api import FaultContext
from swarmrig.api.params import Params
from swarmrig.faults.links_place import DirectedParams, LinkPlace, how_long, place_of
from swarmrig.faults.observation import ObservedFault
from swarmrig.model.facts import Fact, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.wire.filter import compile_filter


class BlackholeParams(DirectedParams):
    """The link, or a direction of it, and which frames vanish there."""

    filter: str
    """Frames that match vanish, for example `udp.dport == 5005`."""

    @field_validator("filter")
    @classmethod
    def _compiles(cls, value: str) -> str:
        compile_filter(value)
        return value


class Blackhole(ObservedFault):
    """Frames that match a filter vanish on a link; all others pass."""

    params_model: ClassVar[type[Params]] = BlackholeParams
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "A frame that matches was dropped into the black hole, and none that matches was delivered meanwhile; after "
        "healing, one that matches was delivered."
    )
    example: ClassVar[str] = '{at: 10s, blackhole: {between: [a, lan], filter: "udp", for: 5s}}'

    effect_words = "vanished in the black hole"
    end_words = "crossed after healing"
    contrary_words = "was delivered although it matches the filter"
    no_effect = "no frame that matches tried to cross {what}"
    no_end = "no frame that matches crossed {what} after it healed"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._place = self.place(spec, context.scenario, context.network)
        self._filter = compile_filter(spec.params["filter"])

    @classmethod
    def place(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> LinkPlace:
        return place_of(spec.params, scenario, network)

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        return cls.place(spec, scenario, network).link

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        place = cls.place(spec, scenario, network)
        return f"drop what matches {spec.params['filter']!r} on {place} {how_long(spec)}"

    async def inject(self) -> None:
        self.injected(await self._block(self._filter.text), link=self.what)

    async def heal(self) -> None:
        self.healed(await self._block(None), link=self.what)

    async def _block(self, text: str | None) -> int:
        control = self.context.links
        return await control.set_filter(self.what, text, direction=self._place.direction, layer=self.spec.id)

    def shows_effect(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.fate is Fate.BLACKHOLE and self._matches(fact)

    def shows_contrary(self, fact: Fact) -> bool:
        return isinstance(fact, Frame) and fact.delivered and self._matches(fact)

    def shows_end(self, fact: Fact) -> bool:
        return self.shows_contrary(fact)

    def _matches(self, frame: Frame) -> bool:
        return frame.link == self.what and frame.sender in self._place.senders and self._filter.matches(frame.data)
