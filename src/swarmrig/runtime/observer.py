"""What a viewer of a run in progress is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import anyio

from swarmrig.model.verdict import Judgement
from swarmrig.runtime.events import Event
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.waiting import beside

PATIENCE_S = 1.0
"""What takes longer is told of."""


@dataclass(frozen=True, slots=True)
class NodeView:
    state: str
    """launching | started | booted | ready | exited | stopped"""
    boot_ns: int | None = None
    frames: int = 0
    """CSI frames seen at the node's own port."""
    rate: float = 0.0
    """Of those, per second, over the last few seconds."""
    last_line: str = ""


@dataclass(frozen=True, slots=True)
class LinkView:
    frames: int = 0
    drops: int = 0
    up: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the run, about four times a second."""

    now_ns: int
    duration_ns: int | None
    """None: until interrupted."""
    nodes: Mapping[str, NodeView]
    links: Mapping[str, LinkView]
    checks: Mapping[str, Judgement | None]
    """By label; None while undecided."""


@dataclass(frozen=True, slots=True)
class Programme:
    """What a run is going to be, for those who watch it."""

    name: str
    nodes: tuple[str, ...]
    seed: int
    tier: str
    links: tuple[str, ...]
    """Those of the topology, without the nodes' own ones to it."""
    faults: Mapping[str, str]
    """What each does, by id."""
    until_interrupted: bool = False
    time: str = "real"
    """Which clock rules: real | paced | virtual."""
    duration_ns: int | None = None
    began_s: float = field(default_factory=monotonic)
    """By the clock that all processes of this machine share."""

    @classmethod
    def of(cls, plan: RunPlan, *, until_interrupted: bool = False) -> Programme:
        return cls(
            plan.scenario.name,
            tuple(node.id for node in plan.scenario.nodes),
            plan.scenario.seed,
            plan.tier,
            tuple(link.name for link in plan.network.links if not link.access),
            {fault.spec.id: fault.description for fault in plan.faults},
            until_interrupted,
            plan.scenario.time.value,
            None if until_interrupted else plan.scenario.duration_ns,
        )


class Observer(Protocol):
    def on_event(self, event: Event) -> None: ...

    def progress(self, snapshot: Snapshot) -> None: ...


@asynccontextmanager
async def telling(observer: Observer, source: str, doing: str) -> AsyncIterator[None]:
    """Tell an observer what is being done before run time begins, if that takes longer than a second; then again and
    again, at growing distances. Such an event is in no log: it is of no run yet."""

    async def tell() -> None:
        waited_s, next_s = 0.0, PATIENCE_S
        while True:
            await anyio.sleep(next_s - waited_s)
            waited_s, next_s = next_s, 2 * next_s
            observer.on_event(Event(0, source, "preparing", {"doing": doing, "waited_s": waited_s}))

    async with beside() as tasks:
        tasks.start_soon(tell)
        yield


class Unobserved:
    """An observer that does not look."""

    def on_event(self, event: Event) -> None: ...

    def progress(self, snapshot: Snapshot) -> None: ...
