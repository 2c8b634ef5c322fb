"""Did every node boot, and how fast?"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.params import NoParams, Params
from swarmrig.checks.patterns import is_boot_marker
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, NodeChange, NodeState
from swarmrig.model.units import NS_PER_S, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome


class _Boot:
    """What is known of the start of one node. Only its first start counts, and the first that tells it is up: a boot
    marker on its console, or that its own probe finds it ready."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.started_ns: int | None = None
        self.ended: NodeChange | None = None
        self.first_line: ConsoleLine | None = None
        self.up: ConsoleLine | NodeChange | None = None

    def observe(self, fact: ConsoleLine | NodeChange) -> None:
        if isinstance(fact, ConsoleLine):
            self.first_line = self.first_line or fact
            if self.up is None and is_boot_marker(fact.text):
                self.up = fact
        elif fact.state is NodeState.READY:
            self.up = self.up or fact
        elif fact.state in (NodeState.EXITED, NodeState.STOPPED):
            self.ended = self.ended or fact
        elif fact.state is NodeState.STARTED and self.started_ns is None:
            self.started_ns = fact.t_ns

    @property
    def seen(self) -> bool:
        return self.started_ns is not None or self.ended is not None or self.first_line is not None

    @property
    def boot_ns(self) -> int | None:
        """From its start until it is up, None as long as one of them is missing."""
        if self.started_ns is None or self.up is None:
            return None
        return max(0, self.up.t_ns - self.started_ns)


class _Boots:
    """The starts of all nodes of the scenario."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self.nodes = {node.id: _Boot(node.id) for node in context.scenario.nodes}

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine | NodeChange) and fact.node in self.nodes:
            self.nodes[fact.node].observe(fact)

    def evidence(self, boot: _Boot) -> Evidence | None:
        """What tells that it is up, else the first thing the node said."""
        if isinstance(boot.up, NodeChange):
            return Evidence("events.jsonl", note=f"node.ready of {boot.node}")
        line = boot.up or boot.first_line
        if line is None:
            return None
        return self._context.console(boot.node, line.line, "boot marker" if boot.up else "no boot marker follows")


class AllNodesBoot:
    """Every console shows a boot marker, or the node's own probe, health check or login finds it ready."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "all_nodes_boot"

    def __init__(self, context: CheckContext) -> None:
        self._boots = _Boots(context)

    def observe(self, fact: Fact) -> None:
        self._boots.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        boots = list(self._boots.nodes.values())
        if not final and not (boots and all(boot.up for boot in boots)):
            return None
        tally = Tally(Outcome.FAIL if any(boot.up for boot in boots) else Outcome.FATAL)
        for boot in boots:
            if boot.up:
                tally.support(self._boots.evidence(boot))
        silent = [boot for boot in boots if not boot.up]
        if not any(boot.seen for boot in boots):
            tally.gap("no node was started and no console said anything")
        elif silent:
            evidence = [self._boots.evidence(boot) for boot in silent]
            tally.fail(f"neither a boot marker nor readiness of {listed(boot.node for boot in silent)}", *evidence)
        measured = {"booted": [boot.node for boot in boots if boot.up]}
        return tally.judgement(f"all {len(boots)} nodes booted", measured)


class MaxBootParams(Params):
    bare: ClassVar[str | None] = "seconds"
    seconds: float = Field(default=10.0, gt=0)
    """From start to boot marker or readiness, at most."""


class MaxBootTime:
    """Every node shows its boot marker, or is found ready, at most so many seconds after it was started."""

    params_model: ClassVar[type[Params]] = MaxBootParams
    severity: ClassVar[Outcome] = Outcome.WARN
    example: ClassVar[str] = "max_boot_time_s: 5"

    def __init__(self, context: CheckContext, *, seconds: float) -> None:
        self._limit_ns = round(seconds * NS_PER_S)
        self._boots = _Boots(context)

    def observe(self, fact: Fact) -> None:
        self._boots.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        boots = list(self._boots.nodes.values())
        if not final and not (boots and all(boot.boot_ns is not None for boot in boots)):
            return None
        tally = Tally(self.severity)
        for boot in boots:
            self._judge_node(boot, now_ns, tally)
        times = {boot.node: boot.boot_ns for boot in boots}
        slowest = max((time for time in times.values() if time is not None), default=0)
        message = f"slowest boot {format_seconds(slowest)} of at most {format_seconds(self._limit_ns)}"
        return tally.judgement(message, {"boot_ns": times})

    def _judge_node(self, boot: _Boot, now_ns: int, tally: Tally) -> None:
        evidence = self._boots.evidence(boot)
        limit = format_seconds(self._limit_ns)
        if boot.boot_ns is not None and boot.boot_ns <= self._limit_ns:
            tally.support(evidence)
        elif boot.boot_ns is not None:
            tally.fail(f"{boot.node} took {format_seconds(boot.boot_ns)}, more than {limit}", evidence)
        elif boot.started_ns is None:
            tally.gap(f"{boot.node} was not seen starting", evidence)
        else:
            waited_ns = (boot.ended.t_ns if boot.ended else now_ns) - boot.started_ns
            if waited_ns > self._limit_ns:
                tally.fail(f"{boot.node} neither booted nor was found ready in {format_seconds(waited_ns)}", evidence)
            else:
                tally.gap(f"{boot.node} neither booted nor was found ready, and ran less than {limit}", evidence)
