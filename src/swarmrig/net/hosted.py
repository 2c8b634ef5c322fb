"""A Python node inside the engine: woken at its own deadlines and by each frame, in exact run time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.api.steppable import SteppableNode
from swarmrig.net.link import MIN_FRAME, Agenda, Direction

CONSOLE_LIMIT = 100_000
"""Console lines kept until somebody asks; beyond, new ones are dropped and counted."""


class HostedNode:
    """Drives one steppable node: `receive` is its end of the link."""

    def __init__(self, node: SteppableNode, egress: Direction, agenda: Agenda) -> None:
        self._node = node
        self._egress = egress
        self._agenda = agenda
        self._wake_at: int | None = None
        self._console: list[tuple[int, str]] = []
        self.on_line: Callable[[int, str], None] | None = None
        """Called with the time and text of each line of the node's console."""
        self.console_dropped = 0
        self.failure: str | None = None
        """The traceback of the exception that ended the node; the network goes on without it."""
        self._guarded(self._plan_wake, 0)

    def receive(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives; what the node does about it follows at the same instant, after others of that time."""
        if self.failure is None:
            self._guarded(self._deliver, t_ns, frame)

    def report(self) -> Mapping[str, Any]:
        """The node's own report; empty once it has failed."""
        return self._node.report() if self.failure is None else {}

    def take_console(self) -> list[tuple[int, str]]:
        """Lines since the last call."""
        lines, self._console = self._console, []
        return lines

    def _deliver(self, t_ns: int, frame: bytes) -> None:
        self._node.deliver(t_ns, frame)
        self._wake_by(t_ns)

    def _wake(self, t_ns: int, _: bytes) -> None:
        if self._wake_at == t_ns and self.failure is None:  # else overtaken by an earlier wake
            self._guarded(self._advance, t_ns)

    def _advance(self, t_ns: int) -> None:
        self._wake_at = None
        result = self._node.advance(t_ns)
        if self.on_line is not None:
            for line in result.console:
                self.on_line(*line)
        room = CONSOLE_LIMIT - len(self._console)
        self._console += result.console[:room]
        self.console_dropped += max(len(result.console) - room, 0)
        for _, frame in result.frames:  # all due now: no deadline of the node is ever passed over
            if len(frame) < MIN_FRAME:
                raise ValueError(f"sent a frame of {len(frame)} bytes: {frame!r}")
            self._egress.send(t_ns, frame)
        self._plan_wake(t_ns + 1)

    def _plan_wake(self, earliest_ns: int) -> None:
        deadline = self._node.next_deadline_ns()
        if deadline is not None:
            self._wake_by(max(deadline, earliest_ns))

    def _wake_by(self, t_ns: int) -> None:
        if self._wake_at is None or t_ns < self._wake_at:
            self._wake_at = t_ns
            self._agenda.at(t_ns, self._wake)

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except Exception:
            self.failure = traceback.format_exc()
