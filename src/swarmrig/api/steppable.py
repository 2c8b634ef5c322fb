"""Nodes whose time is advanced from outside: the same object runs in real and in virtual time.

A steppable node is sans-I/O. Its driver delivers inputs at exact times and advances it to a horizon; all it
returns carries the time at which it happened. Standard library only: the fabric process imports this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True)
class StepResult:
    """What happened up to the horizon, each in time order."""

    frames: list[tuple[int, bytes]]
    """(t_ns, Ethernet frame) sent by the node."""
    console: list[tuple[int, str]]
    """(t_ns, line without line end)."""


class SteppableNode(Protocol):
    """The contract: inputs come in time order and never before the last horizon.

    `resolution_ns` is the grain of the node's output times (1 for a Python model).
    """

    resolution_ns: int

    def deliver(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives; its effects appear in the next `advance`."""
        ...

    def advance(self, horizon_ns: int) -> StepResult:
        """Live through everything due at or before `horizon_ns`."""
        ...

    def next_deadline_ns(self) -> int | None:
        """When the node acts next without further input; None when it only waits for input."""
        ...

    def report(self) -> Mapping[str, Any]:
        """JSON-able state at the end of the run (also asked for in between, for the live view)."""
        ...
