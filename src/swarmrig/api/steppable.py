"""Nodes whose time is advanced from outside: the same object runs in real and in virtual time.

A steppable node is sans-I/O. Its driver delivers inputs at exact times and advances it to a horizon; all it
returns carries the time at which it happened. A resident node is one that the network need not ask: it is called when
something is due, and what it does takes effect at once. Standard library only: the fabric process imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class Timer:
    """A call that is due at `t_ns`, for a node; with `period_ns`, again and again."""

    __slots__ = ("callback", "owner", "period_ns", "t_ns")

    def __init__(self, t_ns: int, callback: Callable[[], None], owner: object, period_ns: int = 0) -> None:
        self.t_ns = t_ns
        self.period_ns = period_ns
        self.callback: Callable[[], None] | None = callback
        """None once it was made for the last time, or taken back."""
        self.owner = owner


class Place(Protocol):
    """Where a resident node lives. Times are those of the call that it is in."""

    def send(self, t_ns: int, frame: bytes) -> object:
        """A frame of at least MIN_FRAME bytes leaves the node."""
        ...

    def say(self, t_ns: int, line: str) -> None:
        """A line on the node's console, without line end."""
        ...

    def push(self, timer: Timer) -> None:
        """Have a timer's call made when that is due. At one instant, in the order of asking."""
        ...

    def cancel(self, timer: Timer) -> None:
        """Take a timer's call back; nothing happens when it was made, or taken back before."""
        ...


class ResidentNode(Protocol):
    """A node that is called when something is due. What it raises, from any call, ends it."""

    now_ns: int
    """Set before each call."""

    def live_in(self, place: Place, t_ns: int) -> None:
        """Called once, before all other calls: from now on, act there. Timers asked for before are pushed there."""
        ...

    def receive(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives."""
        ...

    def report(self) -> Mapping[str, Any]:
        """See SteppableNode."""
        ...
