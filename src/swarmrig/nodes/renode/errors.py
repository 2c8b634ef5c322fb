"""What can go wrong at a monitor, by what it means."""

from __future__ import annotations

from swarmrig.errors import NodeError


class MonitorError(NodeError):
    """The monitor cannot be used."""


class MonitorLostError(MonitorError):
    """The connection has ended: Renode is gone, or has shut the door."""


class MonitorTimeoutError(MonitorError):
    """No answer in time. Nobody knows what the next answer belongs to: the monitor must be connected to again."""


class CommandError(NodeError):
    """Renode refuses a command; `answer` is all that it says."""

    def __init__(self, node: str, command: str, answer: str) -> None:
        self.command = command
        self.answer = answer
        super().__init__(node, f"Renode refuses {command!r}:\n{answer}")
