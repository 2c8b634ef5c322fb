"""The faults of a run as stretches of time, and what was seen before, during and after them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

from swarmrig.api import CheckContext
from swarmrig.checks.sightings import find_node
from swarmrig.model.facts import Fact, FaultChange, FaultStage
from swarmrig.model.scenario import FaultSpec

HEAL = "heal"
"""The kind of fault that only ends another one."""
NO_FAULT = "there was no such fault in this run, so there is nothing to judge"
Item = TypeVar("Item", bound=tuple[object, ...])


class Episode:
    """One fault: when it began, when it ended, and when either was observed. Times are None while unknown."""

    def __init__(self, spec: FaultSpec, *, heals: bool) -> None:
        self.spec = spec
        self._heals = heals
        self._stages: dict[FaultStage, int] = {}

    def observe(self, change: FaultChange) -> None:
        self._stages.setdefault(change.stage, change.t_ns)

    @property
    def heals(self) -> bool:
        """False for what is over in an instant, or meant to stay. A fault may also heal by itself."""
        return self._heals or self.healed_ns is not None

    @property
    def injected_ns(self) -> int | None:
        return self._stages.get(FaultStage.INJECTED)

    @property
    def observed_ns(self) -> int | None:
        return self._stages.get(FaultStage.OBSERVED)

    @property
    def healed_ns(self) -> int | None:
        return self._stages.get(FaultStage.HEALED)

    @property
    def skipped(self) -> bool:
        """It said that it is not applicable in this run."""
        return FaultStage.SKIPPED in self._stages

    @property
    def is_absent(self) -> bool:
        """There is nothing to judge, and that is all right: it was skipped, or need not happen and did not."""
        return self.skipped or (not self.spec.required and self.injected_ns is None)

    @property
    def over_ns(self) -> int | None:
        """From when on nothing more is done to the swarm: the healing, or the injection of what does not heal."""
        return self.healed_ns if self.heals else self.injected_ns

    @property
    def gap(self) -> str | None:
        """Why nothing can be concluded from it; None when it happened, and its end too."""
        if self.injected_ns is None:
            return f"{self.spec.id} was never injected"
        if self.observed_ns is None:
            return f"{self.spec.id} was injected, but its effect was not observed"
        return f"{self.spec.id} was never healed" if self.over_ns is None else None


class Episodes:
    """The faults that a check is about: all of the scenario, or those of one id or kind."""

    def __init__(self, context: CheckContext, fault: str | None = None) -> None:
        healed = {str(spec.params.get("fault")) for spec in context.scenario.faults if spec.kind == HEAL}
        self.by_id = {
            spec.id: Episode(spec, heals=spec.for_ns is not None or spec.id in healed)
            for spec in context.scenario.faults
            if spec.kind != HEAL and (fault is None or _is_meant(spec, fault))
        }

    def present(self) -> list[Episode]:
        """Those that are judged, once the run is over."""
        return [episode for episode in self if not episode.is_absent]

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, FaultChange) and fact.fault in self.by_id:
            self.by_id[fact.fault].observe(fact)


def check_fault(context: CheckContext, fault: str | None) -> str:
    """The ids of the faults that a check is about, for the plan; ValueError when the scenario has no such fault."""
    found = list(Episodes(context, fault).by_id)
    if fault is not None and not found:
        known = list(dict.fromkeys(name for spec in context.scenario.faults for name in (spec.id, spec.kind)))
        close = difflib.get_close_matches(fault, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known[:8]) or 'no faults'}"
        raise ValueError(f"no fault has the id or kind {fault!r}: {hint}")
    return ", ".join(found)


def targets_of(context: CheckContext, spec: FaultSpec) -> frozenset[str]:
    """The nodes that a fault names as those it happens to."""
    named: list[str | int] = [spec.params["node"]] if spec.params.get("node") is not None else []
    several = spec.params.get("nodes")
    named += several if isinstance(several, list | tuple) else ()
    found = (find_node(context, name) for name in named)
    return frozenset(node.id for node in found if node is not None)


def _is_meant(spec: FaultSpec, fault: str) -> bool:
    """Occurrences of a repeated fault have its id and a number: `cut-1.2`."""
    return fault in (spec.id, spec.kind) or spec.id.startswith(f"{fault}.")


class HeldBack(Generic[Item]):
    """Passes things on in order, smallest first, but holds the greatest back until the end: by then it is known what
    else happened at their time, which other sources may tell later."""

    def __init__(self, take: Callable[[Item], None], size: int = 1024) -> None:
        self._take = take
        self._size = size
        self._items: list[Item] = []

    def add(self, item: Item) -> None:
        heappush(self._items, item)
        if len(self._items) > self._size:
            self._take(heappop(self._items))

    def release(self, is_due: Callable[[Item], bool] | None = None) -> None:
        """Pass on all, or as many as are due."""
        while self._items and (is_due is None or is_due(self._items[0])):
            self._take(heappop(self._items))
