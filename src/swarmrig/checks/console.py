"""A text that must, or must not, appear on consoles."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from swarmrig.api import CheckContext
from swarmrig.checks.params import DurationNs, Params, Range, describe_bounds, within_bounds
from swarmrig.checks.sightings import find_node
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, NodeChange, NodeState
from swarmrig.model.units import format_duration
from swarmrig.model.verdict import Judgement, Outcome

_KEPT = 1000
"""Matching lines that are remembered for each node."""

_MAX_SEARCHED = 4096
"""Characters of a line that are searched: a pattern of the user's meets lines of the firmware's."""


class ConsoleParams(Params):
    """`matches` or `absent`: a Python regular expression, searched in every line."""

    node: str | int | None = None
    """Id or number of the node; without `node` and `nodes` every node is judged."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Several nodes, by id or number."""
    matches: str | None = None
    """A Python regular expression that lines of each node must match."""
    absent: str | None = None
    """One that no line may match."""
    count: Range | None = None
    """How many lines of each node match: a number for exactly that, or {min, max}. Default: at least one."""
    within: DurationNs | None = None
    """Only lines up to so long after the node's start count."""

    @field_validator("matches", "absent")
    @classmethod
    def _is_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ConsoleParams:
        if (self.matches is None) == (self.absent is None):
            raise ValueError("give either matches or absent")
        if self.node is not None and self.nodes is not None:
            raise ValueError("give either node or nodes")
        if self.absent is not None and self.count is not None:
            raise ValueError("count goes with matches, not with absent")
        return self


class _Searched:
    """The console of one node, as far as it was searched."""

    def __init__(self) -> None:
        self.started_ns: int | None = None
        self.unheard = False
        self.lines = 0
        self.last_line = 0
        self.matching = 0
        self.matched: list[ConsoleLine] = []
        """The first matching lines."""

    def in_time(self, limit_ns: int | None) -> tuple[int, list[ConsoleLine]]:
        """How many lines matched in time, and the first of them. With a limit no more than `_KEPT` are counted."""
        if limit_ns is None:
            return self.matching, self.matched
        deadline_ns = (self.started_ns or 0) + limit_ns
        early = [line for line in self.matched if line.t_ns <= deadline_ns]
        return len(early), early


class Console:
    """Lines that match an expression appear on a node's console, so often and so early, or never."""

    params_model: ClassVar[type[Params]] = ConsoleParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = 'console: {node: b, matches: "edge tier", within: 2s}'

    def __init__(
        self,
        context: CheckContext,
        *,
        matches: str | None = None,
        absent: str | None = None,
        node: str | int | None = None,
        nodes: tuple[str | int, ...] | None = None,
        count: dict[str, float | None] | None = None,
        within: int | None = None,
    ) -> None:
        self._context = context
        self._pattern = re.compile(matches if matches is not None else absent or "")
        self._absent = absent is not None
        self._bounds = {"min": None, "max": 0.0} if self._absent else count or {"min": 1.0, "max": None}
        self._within_ns = within
        self._unknown: list[str] = []
        self._nodes = {name: _Searched() for name in self._chosen(node, nodes)}

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, NodeChange) and fact.node in self._nodes:
            if fact.state is NodeState.STARTED and self._nodes[fact.node].started_ns is None:
                self._nodes[fact.node].started_ns = fact.t_ns
            elif fact.state is NodeState.UNHEARD:
                self._nodes[fact.node].unheard = True
        elif isinstance(fact, ConsoleLine) and fact.node in self._nodes:
            self._observe_line(self._nodes[fact.node], fact)

    def _observe_line(self, found: _Searched, line: ConsoleLine) -> None:
        found.lines += 1
        found.last_line = max(found.last_line, line.line)
        if self._pattern.search(line.text, 0, _MAX_SEARCHED):
            found.matching += 1
            if len(found.matched) < _KEPT:
                found.matched.append(line)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final and not self._decided():
            return None
        tally = Tally(self.severity)
        if self._unknown:
            tally.gap(f"the scenario has no node {listed(self._unknown)}")
        for name, found in self._nodes.items():
            self._judge_node(name, found, tally)
        measured = {"lines": {name: found.in_time(self._within_ns)[0] for name, found in self._nodes.items()}}
        return tally.judgement(f"{self._wanted()} on {listed(self._nodes)}", measured)

    def _decided(self) -> bool:
        """Only what can't become wrong any more: enough matches, and no upper bound."""
        if self._unknown or self._bounds["max"] is not None or not self._nodes:
            return False
        least = self._bounds["min"] or 0
        if self._within_ns is not None and any(found.started_ns is None for found in self._nodes.values()):
            return False
        return least > 0 and all(found.in_time(self._within_ns)[0] >= least for found in self._nodes.values())

    def _judge_node(self, name: str, found: _Searched, tally: Tally) -> None:
        searched = self._context.console(name, found.last_line, f"searched {found.lines} lines, the last is this")
        number, lines = found.in_time(self._within_ns)
        pointers = [self._context.console(name, line.line, line.text.strip()[:120]) for line in lines[:3]]
        if not found.lines:
            tally.gap(f"the console of {name} is empty")
        elif self._within_ns is not None and found.started_ns is None:
            tally.gap(f"the start of {name} was not seen", *pointers)
        elif found.unheard and self._open(number):
            tally.gap(f"{name} said too much: its console was not searched to the end", searched)
        elif within_bounds(number, self._bounds):
            tally.support(*(pointers or [searched]))
        else:
            tally.fail(f"{name}: {number} lines match, expected: {self._wanted()}", *(pointers or [searched]))

    def _open(self, number: int) -> bool:
        """Could lines that were not heard have made a difference?"""
        least, most = self._bounds["min"] or 0, self._bounds["max"]
        return number < least or (most is not None and number <= most)

    def _wanted(self) -> str:
        within = f" within {format_duration(self._within_ns)} of the start" if self._within_ns is not None else ""
        if self._absent:
            return f"no line matches {self._pattern.pattern!r}{within}"
        return f"{describe_bounds(self._bounds)} lines match {self._pattern.pattern!r}{within}"

    def _chosen(self, node: str | int | None, nodes: tuple[str | int, ...] | None) -> list[str]:
        if node is None and nodes is None:
            return [spec.id for spec in self._context.scenario.nodes]
        chosen = []
        for name in (node,) if node is not None else nodes or ():
            spec = find_node(self._context, name)
            if spec is None:
                self._unknown.append(str(name))
            else:
                chosen.append(spec.id)
        return chosen
