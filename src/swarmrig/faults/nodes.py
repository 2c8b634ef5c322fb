"""Faults that are done to a node as a whole; what they have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from swarmrig.api import FaultContext, NodePlan
from swarmrig.api.params import Params
from swarmrig.faults.observation import ObservedFault
from swarmrig.model.facts import ConsoleLine, Fact, Frame
from swarmrig.model.network import NetworkPlan, PortKind
from swarmrig.model.scenario import FaultSpec, Scenario, TimeMode
from swarmrig.model.units import format_duration

BOOT = r"rst:0x|main_task:|app_main"
"""What a console says when firmware begins anew: the ROM's reset cause, the main task (ESP-IDF, refnode)."""


def regular_expression(value: str) -> str:
    """The value, if it is one. ValueError says what is wrong with it."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return value


Expression = Annotated[str, AfterValidator(regular_expression)]
"""A regular expression."""


class NodeParams(Params):
    """The node that it is done to."""

    bare: ClassVar[str | None] = "node"

    node: str | int
    """Its id, or its number."""


class BootParams(NodeParams):
    """The node, and how its console tells of a boot."""

    says: Expression = BOOT
    """What the node says when it boots (regular expression)."""


class NodeFault(ObservedFault):
    """Base of faults of one node. A subclass says in `verb` what it does to it."""

    params_model: ClassVar[type[NodeParams]] = NodeParams
    verb: ClassVar[str]
    claim: ClassVar[str] = ""
    """What faults of nodes that exclude each other have in common; "" for those that get along with all."""

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:  # noqa: ARG003
        """The node's id."""
        return node_id(spec, scenario)

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """What will be done to which node; ValueError when it is not there."""
        return f"{cls.verb} {cls.target(spec, scenario, network)}{cls.duration(spec)}"

    @classmethod
    def duration(cls, spec: FaultSpec) -> str:
        """How long it lasts, as the end of a sentence."""
        if not cls.heals:
            return ""
        return " for good" if spec.for_ns is None else f" for {format_duration(spec.for_ns)}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        """Nothing but what `claim` says."""
        return frozenset({cls.claim.format(node=cls.target(spec, scenario, network))} if cls.claim else ())

    @property
    def node(self) -> Any:
        """The running node. Capabilities are those of `needs`, and what `examine` has seen to."""
        return self.context.nodes[self.what]

    @property
    def plan(self) -> NodePlan:
        return self.context.plans[self.what]

    @property
    def exact(self) -> bool:
        """Does what is done to the node happen at exactly the time at which it is done?"""
        time = self.context.scenario.time
        return time is TimeMode.VIRTUAL or (time is TimeMode.PACED and self.plan.port is PortKind.LOCKSTEP)

    def now(self) -> int:
        return self.context.now_ns()


class PlacedFault(NodeFault):
    """Base of faults of a part of a node: some of its memory, some of its flash."""

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self.params: Any = self.params_model.model_construct(**spec.params)

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """What is done to which part; ValueError when the node is not there."""
        return f"{cls.describe(spec.params)} of {cls.target(spec, scenario, network)}{cls.duration(spec)}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        """What is done to which part, without the node."""
        raise NotImplementedError


class BootingFault(NodeFault):
    """Base of faults after which a node boots."""

    params_model: ClassVar[type[BootParams]] = BootParams

    def shows_boot(self, fact: Fact) -> bool:
        """Is this the node that says it boots?"""
        return said(fact, self.what, str(self.spec.params["says"]))


class Reset(BootingFault):
    """Press a node's reset button.

    The processor and the devices begin anew; RAM keeps what it held, but for the image that is loaded again.
    """

    verb = "reset"
    needs: ClassVar[frozenset[str]] = frozenset({"CanReset"})
    heals: ClassVar[bool] = False
    evidence: ClassVar[str] = "The node's console said that it boots, after the reset."
    example: ClassVar[str] = "{at: 10s, reset: a}"
    effect_words = "says that it boots"
    no_effect = "{what} did not say that it boots"

    async def inject(self) -> None:
        at_ns = self.now()
        await self.node.reset()
        self.injected(at_ns, node=self.what)

    async def heal(self) -> None:
        """It is over in an instant."""

    def shows_effect(self, fact: Fact) -> bool:
        return self.shows_boot(fact)


def node_id(spec: FaultSpec, scenario: Scenario, key: str = "node") -> str:
    """The id of the node that a parameter names. ValueError when there is none."""
    node = scenario.find_node(spec.params[key])
    if node is None:
        raise ValueError(f"there is no node {spec.params[key]!r}")
    return node.id


def said(fact: Fact, node: str, pattern: str) -> bool:
    """Is it a line of this node's console in which the regular expression is found?"""
    return isinstance(fact, ConsoleLine) and fact.node == node and re.search(pattern, fact.text) is not None


def heard(fact: Fact, node: str) -> bool:
    """Is it something that this node did: a line of its console, or a frame that it sent?"""
    return (isinstance(fact, ConsoleLine) and fact.node == node) or (isinstance(fact, Frame) and fact.sender == node)
