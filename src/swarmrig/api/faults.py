"""Faults: make something go wrong, observe that it did, heal it, observe that too (group `swarmrig.faults`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from swarmrig.model.facts import Fact, FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


class LinkControl(Protocol):
    """Changes links while the network runs. `changes` are fields of model.network.Impairment."""

    async def set_link(self, link: str, changes: Mapping[str, Any], *, direction: str | None = None) -> int:
        """Apply to both directions (or `forward`/`backward`); returns the run time (ns) at which it took effect."""
        ...


@dataclass(frozen=True, slots=True)
class FaultContext:
    scenario: Scenario
    network: NetworkPlan
    links: LinkControl
    nodes: Mapping[str, Any]
    """Node id -> running Node; test for capabilities with isinstance."""
    now_ns: Callable[[], int]
    emit: Callable[[FaultStage, Mapping[str, Any]], None]
    """Record a stage of this fault in the event log."""


class Fault(Protocol):
    """Made as `cls(spec, context)`.

    A fault is proved by facts that come from outside the injector: `observe` is fed like a check and calls
    `context.emit(OBSERVED …)` once its effect was seen, `HEAL_OBSERVED` once its end was.

    A fault that changes links says so by a class attribute `changes_links = True`; then a plan whose network cannot
    do that is refused before launch.
    """

    params_model: ClassVar[Any]
    needs: ClassVar[frozenset[str]]
    """Capability names (api.nodes) that the nodes it touches must have."""

    @staticmethod
    def resolve(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """Check that what the fault names exists and say in one line what it will do; raises ValueError."""
        ...

    async def inject(self) -> None: ...

    async def heal(self) -> None: ...

    def observe(self, fact: Fact) -> None: ...

    def proved(self) -> tuple[bool, str]:
        """At the end: were injection and healing both observed, and how (or what was missing)?"""
        ...


__all__ = ["Fault", "FaultContext", "FaultSpec", "LinkControl"]
