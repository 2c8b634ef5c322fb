"""What a viewer of a run in progress is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from swarmrig.model.verdict import Judgement
from swarmrig.runtime.events import Event


@dataclass(frozen=True, slots=True)
class NodeView:
    state: str
    """launching | started | booted | exited | stopped"""
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


class Observer(Protocol):
    def on_event(self, event: Event) -> None: ...

    def progress(self, snapshot: Snapshot) -> None: ...


class Unobserved:
    """An observer that does not look."""

    def on_event(self, event: Event) -> None: ...

    def progress(self, snapshot: Snapshot) -> None: ...
