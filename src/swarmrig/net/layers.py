"""What is in force on one direction of a link: its own impairment, and what was put over it by name.

Several things may go wrong with a link at a time and end in any order: each has a layer of its own, so that taking
one away leaves the others as they are. The link is up when no layer says otherwise, a frame goes into the black hole
when any layer says so, and of every other field the layer that came last has the word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmrig.model.network import Impairment
from swarmrig.net.impairment import changed
from swarmrig.net.link import Direction
from swarmrig.wire.filter import Filter

COUNTABLE = frozenset({"loss", "duplicate", "reorder", "corrupt"})
"""What may be in force for a number of frames: whatever does not raise the least latency, for that must not fall
again at a time that nobody knows in advance."""


@dataclass(slots=True)
class _Layer:
    changes: Mapping[str, Any]
    frames_left: int | None = None
    """How many frames it is in force for; None: until it is taken away."""


class Layers:
    """The impairment of one direction, and what lies over it."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._base = direction.impairment
        self._layers: dict[str, _Layer] = {}
        self._filters: dict[str, Filter] = {}

    def check(self, changes: Mapping[str, Any], frames: int | None = None) -> None:
        """ValueError names what is unknown or out of range."""
        changed(self._base, changes)
        if frames is None:
            return
        if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
            raise ValueError(f"frames is a whole number from 1 on, not {frames!r}")
        others = sorted(changes.keys() - COUNTABLE)
        if others:
            raise ValueError(f"only {', '.join(sorted(COUNTABLE))} can be in force for a number of frames, "
                             f"not {others[0]}")  # fmt: skip

    def change(self, t_ns: int, changes: Mapping[str, Any]) -> None:
        """Change the link's own impairment, for good."""
        self._base = changed(self._base, changes)
        self._apply(t_ns)

    def put(self, t_ns: int, name: str, changes: Mapping[str, Any], frames: int | None = None) -> None:
        """Put changes over the rest under a name, in place of what was there under that name; nothing takes it
        away. `frames`: it goes by itself when so many have entered."""
        self._layers.pop(name, None)
        if changes:
            self._layers[name] = _Layer(dict(changes), frames)
        self._apply(t_ns)

    def block(self, t_ns: int, name: str, matching: Filter | None) -> None:
        """Under a name, drop the frames that match; None ends that."""
        self._filters.pop(name, None)
        if matching is not None:
            self._filters[name] = matching
        self._apply(t_ns)

    def least_latency_ns(self) -> int:
        """What the fastest frame needs, whichever layers go by themselves until somebody changes something."""
        latency_ns = self._impairment().latency_ns
        overtakes = self._base.reorder or any(layer.changes.get("reorder") for layer in self._layers.values())
        return latency_ns // 2 if overtakes else latency_ns

    def _apply(self, t_ns: int) -> None:
        counted = any(layer.frames_left is not None for layer in self._layers.values())
        self._direction.configure(
            t_ns,
            self._impairment(),
            blocks=self._blocked if self._filters else None,
            count=self._count if counted else None,
        )

    def _impairment(self) -> Impairment:
        whole, up = self._base, self._base.up
        for layer in self._layers.values():
            whole = changed(whole, layer.changes)
            up = up and layer.changes.get("up", True)
        return changed(whole, {"up": up})

    def _blocked(self, frame: bytes) -> bool:
        return any(each.matches(frame) for each in self._filters.values())

    def _count(self, t_ns: int) -> None:
        ended = []
        for name, layer in self._layers.items():
            if layer.frames_left is not None:
                layer.frames_left -= 1
                if layer.frames_left == 0:
                    ended.append(name)
        for name in ended:
            del self._layers[name]
        if ended:
            self._apply(t_ns)
