"""Which link a fault is done to, and in which direction: shared by all faults of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from swarmrig.api.params import Params
from swarmrig.model.network import Impairment, LinkPlan, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration
from swarmrig.net.topology import link_between, site_of

Name = str | int
"""A node by id or number, or another place: `lan`, `aggregator`."""


class LinkParams(Params):
    """The link between two nodes."""

    between: tuple[Name, Name]
    """The two nodes (or a node and `lan` or `aggregator`) that it joins."""

    @field_validator("between")
    @classmethod
    def _two(cls, value: tuple[Name, Name]) -> tuple[Name, Name]:
        if value[0] == value[1]:
            raise ValueError(f"a link joins two different nodes, not {value[0]!r} and itself")
        return value


class DirectedParams(LinkParams):
    """The link between two nodes, or one direction of it."""

    one_way: bool = Field(default=False, strict=True)
    """Only what the first sends to the second."""


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """A link, seen from the node that is named first."""

    plan: LinkPlan
    near: str
    """The end at the node named first."""
    one_way: bool

    @property
    def link(self) -> str:
        return self.plan.name

    @property
    def direction(self) -> str | None:
        """As LinkControl takes it."""
        if not self.one_way:
            return None
        return "forward" if self.near == self.plan.a else "backward"

    @property
    def senders(self) -> tuple[str, ...]:
        """The ends whose frames are concerned."""
        return (self.near,) if self.one_way else (self.plan.a, self.plan.b)

    def impairment(self, sender: str) -> Impairment:
        """What the plan does to the frames of one end."""
        return self.plan.forward if sender == self.plan.a else self.plan.backward

    def far_end(self, sender: str) -> str:
        return self.plan.b if sender == self.plan.a else self.plan.a

    def __str__(self) -> str:
        return f"{self.link} (from {self.near})" if self.one_way else self.link


def place_of(params: dict[str, Any] | Any, scenario: Scenario, network: NetworkPlan) -> LinkPlace:
    """The place that `between` and `one_way` name; ValueError when there is no such link."""
    first, second = (node_id(scenario, name) for name in params["between"])
    plan = network.link(link_between(network, first, second))
    near = plan.a if first in (plan.a, site_of(network, plan.a)) and second != plan.a else plan.b
    return LinkPlace(plan, near, params.get("one_way", False))


def node_id(scenario: Scenario, name: Name) -> str:
    """A node's id by id or number; other names stand for themselves."""
    node = scenario.find_node(name)
    return str(name) if node is None else node.id


def how_long(spec: FaultSpec) -> str:
    return "for good" if spec.for_ns is None else f"for {format_duration(spec.for_ns)}"
