"""What faults wait to see, found among the facts of a run."""

from __future__ import annotations

import re
from collections.abc import Callable

import anyio

from swarmrig.model.facts import ConsoleLine, Fact, Frame
from swarmrig.model.network import Fate
from swarmrig.model.scenario import ConsoleSeen, Seen
from swarmrig.wire.decode import decode
from swarmrig.wire.filter import compile_filter


class Sighting:
    """Counts facts that match a condition; `seen` is set with the one that completes it."""

    def __init__(self, condition: Seen) -> None:
        self.condition = condition
        self.seen = anyio.Event()
        self.t_ns = 0
        """Time of the fact that completed it."""
        self._left = condition.count
        self._matches = matcher(condition)

    def observe(self, fact: Fact) -> None:
        if self._left and self._matches(fact):
            self._left -= 1
            if not self._left:
                self.t_ns = fact.t_ns
                self.seen.set()


def matcher(condition: Seen) -> Callable[[Fact], bool]:
    """Does this fact count? A frame does once, as it enters the link, whatever becomes of it."""
    if isinstance(condition, ConsoleSeen):
        node, pattern = condition.node, re.compile(condition.pattern)
        return lambda fact: isinstance(fact, ConsoleLine) and fact.node == node and bool(pattern.search(fact.text))
    link, accepts = condition.link, compile_filter(condition.filter)
    return lambda fact: (
        isinstance(fact, Frame)
        and fact.link == link
        and fact.fate is not Fate.OVERRUN
        and accepts.matches(decode(fact.data))
    )
