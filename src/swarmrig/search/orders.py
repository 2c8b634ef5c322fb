"""What a search and its workers tell each other: a JSON object a line, over a socket.

To a worker: first `Order` (what all runs have in common), then a run at a time. From it: an observation for each run,
or `{"error": text}` for what the user must repair.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LINE_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True)
class Order:
    """What all runs have in common. Paths are absolute."""

    scenario: str
    """A resolved file."""
    place: str
    """Where run directories are made."""
    checks: tuple[str, ...]
    """Labels of those that matter; none for all."""
    fork_at_ns: int | None
    """Where a swarm is kept warm to fork from; None: every run is booted."""
    patience_s: float
    quantum_ns: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Order:
        return cls(**{**data, "checks": tuple(data["checks"])})


class Line:
    """One end. A closed other end is the end of all lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Line:
        """Takes the socket over."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end, limit=LINE_LIMIT))

    async def tell(self, message: Mapping[str, Any]) -> None:
        """ConnectionError when nobody is there any more."""
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()

    async def hear(self) -> dict[str, Any] | None:
        """None when the other end is closed."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self._writer.close()
