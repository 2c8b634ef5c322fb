"""What somebody waits to see: lines of consoles and frames on links, as they become certain."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from swarmrig.model.console import plain_text
from swarmrig.model.network import Fate
from swarmrig.model.scenario import REACTION_NS, ConsoleSeen, FramesSeen, Seen
from swarmrig.net.engine import Engine
from swarmrig.net.link import Direction, Record
from swarmrig.wire.filter import Filter, compile_filter

Entries = Callable[[Record], object]


@dataclass(slots=True)
class _Awaited:
    token: int
    count: int
    after_ns: int
    pattern: re.Pattern[str] | None = None
    filter: Filter | None = None

    def matches(self, text: str) -> bool:
        return self.pattern is not None and self.pattern.search(text) is not None


class Lookout:
    """Counts from when it was asked on. `on_seen(token, t_ns)` is called once, with the time to act at."""

    def __init__(self, engine: Engine, on_seen: Callable[[int, int], None]) -> None:
        self._engine = engine
        self._on_seen = on_seen
        self._lines: dict[str, list[_Awaited]] = {}
        self._frames: dict[str, list[_Awaited]] = {}
        self._ears: dict[str, list[tuple[Direction, Entries | None]]] = {}
        """Links that are listened to, with those who else get their entries."""
        for name, node in engine.nodes.items():
            node.on_line = partial(self._line_of_node, name)

    @property
    def busy(self) -> bool:
        """Does anybody wait?"""
        return bool(self._lines or self._frames)

    def watch(self, token: int, condition: Seen, after_ns: int) -> None:
        """Look out for what the holder of a token waits for. ValueError says what is wrong with it."""
        after_ns = max(after_ns, REACTION_NS)
        if isinstance(condition, ConsoleSeen):
            try:
                pattern = re.compile(condition.pattern)
            except re.error as error:
                raise ValueError(f"no regular expression: {condition.pattern!r}: {error}") from None
            awaited = _Awaited(token, condition.count, after_ns, pattern=pattern)
            self._lines.setdefault(condition.node, []).append(awaited)
        else:
            if condition.link not in self._engine.wires:
                raise ValueError(f"there is no link {condition.link!r}")
            awaited = _Awaited(token, condition.count, after_ns, filter=compile_filter(condition.filter))
            if condition.link not in self._frames:
                self._listen(condition.link)
            self._frames.setdefault(condition.link, []).append(awaited)

    def forget(self, token: int) -> None:
        """The holder waits for it no more."""
        for awaited in (self._lines, self._frames):
            for name in list(awaited):
                awaited[name] = [one for one in awaited[name] if one.token != token]
                if not awaited[name]:
                    del awaited[name]
        for link in self._ears.keys() - self._frames.keys():
            for direction, record in self._ears.pop(link):
                direction.record_with(record)

    def line(self, device: str, t_ns: int, raw: bytes) -> None:
        """A line of a console has become known."""
        if device in self._lines:
            text = plain_text(raw)
            self._count(self._lines[device], t_ns, lambda one: one.matches(text))

    def _line_of_node(self, device: str, t_ns: int, text: str) -> None:
        self.line(device, t_ns, text.encode("utf-8", "replace"))

    def _listen(self, link: str) -> None:
        """Only while somebody waits for it: this is the hot path of the network."""
        wire = self._engine.wires[link]
        self._ears[link] = []
        for direction in (wire.forward, wire.backward):
            before = direction.record_with(None)
            direction.record_with(partial(self._frame, link, before))
            self._ears[link].append((direction, before))

    def _frame(self, link: str, record: Entries | None, entry: Record) -> None:
        if record is not None:
            record(entry)
        t_ns, _, frame, comment = entry
        if link in self._frames and comment != Fate.OVERRUN.value:
            self._count(self._frames[link], t_ns, lambda one: one.filter is not None and one.filter.matches(frame))

    def _count(self, awaited: list[_Awaited], t_ns: int, matches: Callable[[_Awaited], bool]) -> None:
        for one in list(awaited):
            if matches(one):
                one.count -= 1
                if one.count == 0:
                    self.forget(one.token)
                    self._on_seen(one.token, t_ns + one.after_ns)


def condition_from(message: Mapping[str, Any]) -> Seen:
    """The condition that a control message carries; see `condition_details`."""
    if "link" in message:
        return FramesSeen(message["link"], message["filter"], int(message["count"]))
    return ConsoleSeen(message["node"], message["pattern"], int(message["count"]))


def condition_details(condition: Seen) -> dict[str, Any]:
    """A condition as fields of a control message."""
    if isinstance(condition, FramesSeen):
        return {"link": condition.link, "filter": condition.filter, "count": condition.count}
    return {"node": condition.node, "pattern": condition.pattern, "count": condition.count}
