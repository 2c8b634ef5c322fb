"""What the network process hears of nodes: the consoles and failures of Python nodes, and of guests in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from swarmrig.api import Node
from swarmrig.model.facts import NodeChange, NodeState
from swarmrig.model.scenario import FailurePolicy, NodeSpec
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.runtime.directory import RunDirectory
from swarmrig.runtime.recorder import Recorder


class HostedNodes:
    """Takes the statistics of the network process and records what is new in them."""

    def __init__(
        self, directory: RunDirectory, recorder: Recorder, nodes: Iterable[NodeSpec], running: Mapping[str, Node]
    ) -> None:
        self._directory = directory
        self._running = running
        self._recorder = recorder
        self._policies = {node.id: node.on_failure.policy for node in nodes}
        self._told: dict[str, int] = {}
        """How many turns of a node's life are known."""
        self._capture_error: str | None = None
        self.violation: str | None = None
        """Why the network cannot go on in virtual time."""

    def take(self, statistics: Mapping[str, Any]) -> None:
        """Console lines go to console.log and on; a failed model has ended; lost captures are a failure."""
        for name, lines in statistics["console"].items():
            self._console(name, lines)
        for name, turns in statistics["node_turns"].items():
            for t_ns, trace, restart_ns in turns[self._told.get(name, 0) :]:
                if trace is None:
                    self._recorder.observe(NodeChange(t_ns, name, NodeState.STARTED))
                else:
                    self._failure(name, t_ns, trace, restart_ns)
            self._told[name] = len(turns)
        violated = statistics.get("failure")
        if violated and self.violation is None:
            self.violation = violated
            self._recorder.failure("net", f"virtual time cannot go on: {violated}")
        if statistics["capture_error"] and self._capture_error is None:
            self._capture_error = statistics["capture_error"]
            self._recorder.failure("net", f"captures are incomplete: {self._capture_error}")

    def keep_reports(self, statistics: Mapping[str, Any]) -> None:
        """What models say of themselves when the run is over: report.json of each."""
        for name, report in statistics.get("nodes", {}).items():
            if name in self._recorder.nodes:
                text = json.dumps(report, indent=1, sort_keys=True)
                (self._directory.node(name) / "report.json").write_text(text + "\n", encoding="utf-8")

    def _console(self, name: str, lines: list[tuple[int, str]]) -> None:
        known = name in self._recorder.nodes
        path = self._directory.node(name) / "console.log" if known else self._directory.net / f"{name}.log"
        with path.open("ab") as log:
            for t_ns, text in lines:
                raw = text.encode("utf-8", "surrogateescape") + b"\n"
                log.write(raw)
                if known:
                    self._recorder.console(name, t_ns, raw)

    def _failure(self, name: str, t_ns: int, trace: str, restart_ns: int | None) -> None:
        """A model raised: its traceback is in its stderr.log, and its policy says what becomes of the run."""
        last = trace.strip().splitlines()[-1]
        message = f"the Python node {name} failed at {t_ns / NS_PER_S:.6f} s: {last}\n{trace}".rstrip()
        if name not in self._recorder.nodes:
            self._recorder.failure(name, message)
            return
        tell = getattr(self._running.get(name), "fail", None)
        if tell is not None:
            self._failure_with_program(name, t_ns, trace, tell)
            return
        with (self._directory.node(name) / "stderr.log").open("a", encoding="utf-8") as log:
            log.write(f"at {t_ns} ns of run time:\n{trace}\n")
        self._recorder.observe(NodeChange(t_ns, name, NodeState.EXITED, {"status": last, "stderr": trace}))
        if restart_ns is not None:
            self._recorder.warning(name, f"{message}\nstarted again after {format_duration(restart_ns - t_ns)}", t_ns)
        elif self._policies[name] is FailurePolicy.IGNORE:
            self._recorder.warning(name, f"{message}\nthe run goes on without it", t_ns)
        else:
            self._recorder.failure(name, message)

    def _failure_with_program(self, name: str, t_ns: int, trace: str, tell: Callable[[int, str], None]) -> None:
        """It has more to it than a model, and the fleet sees to that. What is said here and now has its exact time."""
        kind, _, reason = trace.strip().splitlines()[-1].partition(": ")
        reason = reason if kind.endswith("LineError") else trace  # of a mistake of ours, all is said
        self._recorder.observe(NodeChange(t_ns, name, NodeState.EXITED, {"status": reason}))
        if self._policies[name] is FailurePolicy.IGNORE:
            self._recorder.warning(name, f"node {name}: {reason}\nthe run goes on without it", t_ns)
        tell(t_ns, reason)
