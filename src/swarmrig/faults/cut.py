"""Cut the link between two nodes, for a while or for good."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, field_validator

from swarmrig.api import FaultContext
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration
from swarmrig.net.topology import link_between

_KEPT = 4096


class CutParams(BaseModel):
    """The two nodes whose link is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    between: tuple[str | int, str | int]

    @field_validator("between")
    @classmethod
    def _two(cls, value: tuple[str | int, str | int]) -> tuple[str | int, str | int]:
        if value[0] == value[1]:
            raise ValueError(f"a link joins two different nodes, not {value[0]!r} and itself")
        return value


class Cut:
    """The link between two nodes drops every frame, in both directions, until it heals.

    Observed once a frame that entered the link was dropped because it is down, and none was delivered; its healing
    once a frame was delivered again. When nothing tries to cross, neither is proved.
    """

    params_model: ClassVar[type[BaseModel]] = CutParams
    needs: ClassVar[frozenset[str]] = frozenset()
    changes_links: ClassVar[bool] = True

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self._spec = spec
        self._context = context
        self._link = _cut_link(spec, context.scenario, context.network)
        self._cut_ns: int | None = None
        self._healed_ns: int | None = None
        self._dropped: list[Frame] = []
        self._crossed: list[Frame] = []
        self._first_dropped: Frame | None = None
        self._first_leaked: Frame | None = None
        self._first_after: Frame | None = None

    @staticmethod
    def resolve(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """The link that will be cut; ValueError when the two nodes have none between them."""
        link = _cut_link(spec, scenario, network)
        duration = "for good" if spec.for_ns is None else f"for {format_duration(spec.for_ns)}"
        return f"cut the link {link} {duration}"

    async def inject(self) -> None:
        self._cut_ns = await self._context.links.set_link(self._link, {"up": False})
        self._context.emit(FaultStage.INJECTED, {"link": self._link, "t_ns": self._cut_ns})
        self._settle()

    async def heal(self) -> None:
        self._healed_ns = await self._context.links.set_link(self._link, {"up": True})
        self._context.emit(FaultStage.HEALED, {"link": self._link, "t_ns": self._healed_ns})
        self._settle()

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame) or fact.link != self._link:
            return
        if self._first_after is not None or fact.t_ns < self._spec.at_ns:
            return
        if fact.fate is Fate.DOWN:
            if self._first_dropped is None and len(self._dropped) < _KEPT:
                self._dropped.append(fact)
                self._settle()
        elif fact.delivered and self._first_leaked is None and len(self._crossed) < _KEPT:
            self._crossed.append(fact)
            self._settle()

    def proved(self) -> tuple[bool, str]:
        """Whether cut and healing were both seen on the wire, and where."""
        self._settle(final=True)
        if self._cut_ns is None:
            return False, "the link was never cut"
        if self._first_leaked is not None:
            return False, f"{self._pointer(self._first_leaked)} was delivered although the link was down"
        if self._first_dropped is None:
            return False, f"no frame tried to cross {self._link} while it was down"
        seen = f"{self._pointer(self._first_dropped)} was dropped"
        if self._spec.for_ns is None and self._healed_ns is None:
            return True, seen
        if self._healed_ns is None:
            return False, f"{seen}, but the link was never healed"
        if self._first_after is None:
            return False, f"{seen}, but no frame crossed {self._link} after it healed"
        return True, f"{seen}, {self._pointer(self._first_after)} crossed after healing"

    def _settle(self, *, final: bool = False) -> None:
        """Facts come a little after the events they tell of, and not in step with `inject` and `heal`: assign what
        was seen to before, during and after, as far as these times are known."""
        if self._cut_ns is None:
            return
        if self._first_dropped is None:
            self._first_dropped = next((frame for frame in self._dropped if frame.t_ns > self._cut_ns), None)
            self._dropped.clear()
            if self._first_dropped is not None:
                self._emit_seen(FaultStage.OBSERVED, self._first_dropped)
        for frame in self._crossed if self._healed_ns is not None or final else ():
            self._settle_crossed(frame)
        self._crossed = [] if self._healed_ns is not None or final else self._crossed

    def _settle_crossed(self, frame: Frame) -> None:
        if frame.t_ns <= (self._cut_ns or 0):
            return
        if self._healed_ns is None or frame.t_ns < self._healed_ns:
            self._first_leaked = self._first_leaked or frame
        elif self._first_after is None:
            self._first_after = frame
            self._emit_seen(FaultStage.HEAL_OBSERVED, frame)

    def _emit_seen(self, stage: FaultStage, frame: Frame) -> None:
        data = {"link": self._link, "frame": frame.number, "capture": f"net/{self._link}.pcapng", "t_ns": frame.t_ns}
        self._context.emit(stage, data)

    def _pointer(self, frame: Frame) -> str:
        return f"net/{self._link}.pcapng#{frame.number}"


def _cut_link(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
    """The link's name. Nodes are named by id, or by number."""
    names = {str(node.number): node.id for node in scenario.nodes} | {node.id: node.id for node in scenario.nodes}
    a, b = (names.get(str(name), str(name)) for name in spec.params["between"])
    return link_between(network, a, b)
