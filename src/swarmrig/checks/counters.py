"""A number that firmware prints, followed over a run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from swarmrig.api import CheckContext
from swarmrig.checks.sightings import find_node
from swarmrig.model.facts import ConsoleLine, Fact, NodeChange, NodeState
from swarmrig.model.verdict import Evidence

_MAX_SEARCHED = 4096
"""Characters of a line that are searched: a pattern of the user's meets lines of the firmware's."""


class Use(StrEnum):
    """Which of the numbers that a node printed counts."""

    LAST = "last"
    FIRST = "first"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


class Reading:
    """What one console said of the counter. Keeps the line that counts, or the last one for sums."""

    def __init__(self) -> None:
        self.lines = 0
        self.last_line = 0
        self.unheard = False
        self.count = 0
        self.total = 0.0
        self.chosen: tuple[float, ConsoleLine] | None = None
        self.unreadable: ConsoleLine | None = None

    def value(self, use: Use) -> float | None:
        """The number that counts, None when none was printed."""
        if use is Use.COUNT:
            return self.count if self.lines else None
        if self.chosen is None:
            return None
        return _tidy(self.total if use is Use.SUM else self.chosen[0])

    def add(self, number: float, line: ConsoleLine, use: Use) -> None:
        self.count += 1
        self.total += number
        if self.chosen is None or _replaces(number, self.chosen[0], use):
            self.chosen = number, line


class Counter:
    """The numbers that a pattern's first group finds on the consoles of some nodes."""

    def __init__(self, context: CheckContext, pattern: str, use: Use, nodes: tuple[str | int, ...] = ()) -> None:
        specs = [find_node(context, name) for name in nodes] if nodes else context.scenario.nodes
        self.use = use
        self.readings = {spec.id: Reading() for spec in specs if spec is not None}
        self._pattern = re.compile(pattern)

    @classmethod
    def of_params(cls, context: CheckContext, params: Mapping[str, Any]) -> Counter:
        """The counter of a `counter` check with these parameters."""
        nodes = params.get("nodes") or (() if params.get("node") is None else (params["node"],))
        return cls(context, params["console"], Use(params["use"]), tuple(nodes))

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine):
            reading = self.readings.get(fact.node)
            if reading is not None:
                self._line(reading, fact)
        elif isinstance(fact, NodeChange) and fact.state is NodeState.UNHEARD and fact.node in self.readings:
            self.readings[fact.node].unheard = True

    def evidence(self, context: CheckContext, node: str) -> Evidence | None:
        """The line that counts, the last one searched where only the number of lines does; None without any."""
        reading = self.readings[node]
        if reading.chosen is not None:
            line = reading.chosen[1]
            return context.console(node, line.line, line.text.strip()[:120])
        if not reading.lines:
            return None
        return context.console(node, reading.last_line, f"searched {reading.lines} lines, the last is this")

    def _line(self, reading: Reading, line: ConsoleLine) -> None:
        reading.lines += 1
        reading.last_line = max(reading.last_line, line.line)
        match = self._pattern.search(line.text, 0, _MAX_SEARCHED)
        if match is None or match[1] is None:
            return
        number = _number(match[1])
        if number is None:
            reading.unreadable = reading.unreadable or line
        else:
            reading.add(number, line, self.use)


def _replaces(number: float, before: float, use: Use) -> bool:
    match use:
        case Use.FIRST:
            return False
        case Use.MIN:
            return number < before
        case Use.MAX:
            return number > before
    return True


def _number(text: str) -> float | None:
    """`12`, `-3.5`, `0x1f`; None for anything else, infinities and NaN among it."""
    try:
        number = float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _tidy(number: float) -> float:
    return int(number) if number.is_integer() else number
