"""Did anything crash, run out of memory or damage it? Checks of absence: they decide at the end."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGKILL
from typing import Any, ClassVar

from swarmrig.api import CheckContext
from swarmrig.checks.params import NoParams, Params
from swarmrig.checks.patterns import is_crash, is_memory_error
from swarmrig.checks.sightings import find_node
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, NodeChange, NodeState
from swarmrig.model.verdict import Evidence, Judgement, Outcome


class _Offences:
    """Offending lines of one console: the first, and how many."""

    def __init__(self) -> None:
        self.lines = 0
        self.last_line = 0
        self.offences = 0
        self.first: ConsoleLine | None = None

    def observe(self, line: ConsoleLine, offends: Callable[[str], bool]) -> None:
        self.lines += 1
        self.last_line = max(self.last_line, line.line)
        if offends(line.text):
            self.offences += 1
            self.first = self.first or line


class _Consoles:
    """Offending lines of all nodes."""

    def __init__(self, context: CheckContext, offends: Callable[[str], bool]) -> None:
        self._context = context
        self._offends = offends
        self.nodes = {node.id: _Offences() for node in context.scenario.nodes}
        self._unheard: set[str] = set()

    def observe(self, fact: ConsoleLine | NodeChange) -> None:
        found = self.nodes.get(fact.node)
        if found is None:
            return
        if isinstance(fact, ConsoleLine):
            found.observe(fact, self._offends)
        elif fact.state is NodeState.UNHEARD:
            self._unheard.add(fact.node)

    def fail(self, node: str, tally: Tally) -> None:
        """Add the node's offending lines, if any, to the tally."""
        found = self.nodes[node]
        if found.first is not None:
            count = f" and {found.offences - 1} more such lines" if found.offences > 1 else ""
            evidence = self._context.console(node, found.first.line, found.first.text.strip()[:120])
            tally.fail(f"{node}: {found.first.text.strip()[:120]}{count}", evidence)

    def gaps(self, tally: Tally) -> None:
        """Add what was said but not heard: a console that was searched in part proves no absence."""
        for node in sorted(self._unheard):
            tally.gap(f"{node} said too much: its console was not searched to the end", self.searched(node))

    def searched(self, node: str) -> Evidence:
        """Evidence that there was a console to search, and up to where it was."""
        found = self.nodes[node]
        return self._context.console(node, found.last_line, f"searched {found.lines} lines, the last is this")

    @property
    def offended(self) -> bool:
        """Nothing that is said later makes that good."""
        return any(found.offences for found in self.nodes.values())

    def counts(self) -> dict[str, int]:
        return {node: found.offences for node, found in self.nodes.items()}


class NoCrashes:
    """No crash pattern in any console, and no emulator ended by itself."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FATAL
    example: ClassVar[str] = "no_crashes"

    def __init__(self, context: CheckContext) -> None:
        self._consoles = _Consoles(context, is_crash)
        self._started: set[str] = set()
        self._exits: dict[str, NodeChange] = {}
        self._expected = _expected_exits(context)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine | NodeChange):
            self._consoles.observe(fact)
        if isinstance(fact, NodeChange) and fact.node in self._consoles.nodes:
            if fact.state is NodeState.EXITED:
                self._exits.setdefault(fact.node, fact)
            self._started.add(fact.node)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final and not self._consoles.offended:
            return None
        tally = Tally(self.severity)
        for node, found in self._consoles.nodes.items():
            self._consoles.fail(node, tally)
            self._judge_exit(node, tally)
            if found.lines:
                tally.support(self._consoles.searched(node))
            elif node in self._started:
                tally.support(Evidence("events.jsonl", note=f"{node} was started and did not exit"))
        unseen = [node for node, found in self._consoles.nodes.items() if not found.lines and node not in self._started]
        if unseen:
            tally.gap(f"neither a process nor a console line of {listed(unseen)}")
        self._consoles.gaps(tally)
        measured: dict[str, Any] = {"crash_lines": self._consoles.counts(), "exited": sorted(self._exits)}
        return tally.judgement(f"no crash on {len(self._consoles.nodes)} nodes", measured)

    def _judge_exit(self, node: str, tally: Tally) -> None:
        change = self._exits.get(node)
        if change is None or (node, change.data.get("code"), change.data.get("signal")) in self._expected:
            return
        status = change.data.get("status") or describe_exit(change)
        words = str(change.data.get("stderr") or "").strip().splitlines()
        said = f": {words[-1][:160]}" if words else ""
        tally.fail(f"{node} ended by itself ({status}){said}", Evidence(f"nodes/{node}/stderr.log", note=str(status)))


class NoHeapErrors:
    """No sign of exhausted or damaged heap, nor of an overflown stack, in any console."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "no_heap_errors"

    def __init__(self, context: CheckContext) -> None:
        self._consoles = _Consoles(context, is_memory_error)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine | NodeChange):
            self._consoles.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final and not self._consoles.offended:
            return None
        tally = Tally(self.severity)
        for node, found in self._consoles.nodes.items():
            self._consoles.fail(node, tally)
            if found.lines:
                tally.support(self._consoles.searched(node))
        silent = [node for node, found in self._consoles.nodes.items() if not found.lines]
        if silent:
            tally.gap(f"no console line of {listed(silent)}")
        self._consoles.gaps(tally)
        return tally.judgement("no heap or stack error in any console", {"error_lines": self._consoles.counts()})


def describe_exit(change: NodeChange) -> str:
    """`exit 3` or `signal 11` from the data of an EXITED change."""
    signal, code = change.data.get("signal"), change.data.get("code")
    if signal is not None:
        return f"signal {signal}"
    return f"exit {code}" if code is not None else "for an unknown reason"


def _expected_exits(context: CheckContext) -> set[tuple[str, Any, Any]]:
    """Ends that an `exit` check of the same scenario asks for, or that a fault brings about: they are no crash."""
    asked = {
        (str(check.params.get("node")), check.params.get("code"), check.params.get("signal"))
        for check in context.scenario.checks
        if check.name == "exit"
    }
    killed = (find_node(context, fault.params["node"]) for fault in context.scenario.faults if fault.kind == "crash")
    return asked | {(node.id, None, int(SIGKILL)) for node in killed if node is not None}
