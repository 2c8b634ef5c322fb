"""What the network process hears of nodes: the consoles and failures of Python nodes, and of guests in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmrig.model.facts import NodeChange, NodeState
from swarmrig.net.topology import AGGREGATOR
from swarmrig.runtime.clock import Clock
from swarmrig.runtime.directory import RunDirectory
from swarmrig.runtime.recorder import Recorder


class HostedNodes:
    """Takes the statistics of the network process and records what is new in them."""

    def __init__(self, directory: RunDirectory, recorder: Recorder, clock: Clock) -> None:
        self._directory = directory
        self._recorder = recorder
        self._clock = clock
        self._failed: set[str] = set()
        self._capture_error: str | None = None
        self.violation: str | None = None
        """Why the network cannot go on in virtual time."""

    def take(self, statistics: Mapping[str, Any]) -> None:
        """Console lines go to console.log and on; a failed model has ended; lost captures are a failure."""
        for name, lines in statistics["console"].items():
            self._console(name, lines)
        for name, trace in statistics["node_failures"].items():
            if name not in self._failed:
                self._failed.add(name)
                self._failure(name, trace)
        violated = statistics.get("failure")
        if violated and self.violation is None:
            self.violation = violated
            self._recorder.failure("net", f"virtual time cannot go on: {violated}")
        if statistics["capture_error"] and self._capture_error is None:
            self._capture_error = statistics["capture_error"]
            self._recorder.failure("net", f"captures are incomplete: {self._capture_error}")

    def _console(self, name: str, lines: list[tuple[int, str]]) -> None:
        known = name in self._recorder.nodes
        path = self._directory.node(name) / "console.log" if known else self._directory.net / f"{name}.log"
        with path.open("ab") as log:
            for t_ns, text in lines:
                raw = text.encode("utf-8", "surrogateescape") + b"\n"
                log.write(raw)
                if known:
                    self._recorder.console(name, t_ns, raw)

    def _failure(self, name: str, trace: str) -> None:
        last = trace.strip().splitlines()[-1]
        if name != AGGREGATOR:
            data = {"status": last, "stderr": trace}
            self._recorder.observe(NodeChange(self._clock.now_ns(), name, NodeState.EXITED, data))
        self._recorder.failure(name, f"the Python node {name} failed: {last}\n{trace}")
