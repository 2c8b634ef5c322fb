"""Console bytes to console lines: any chunking, bounded memory, bounded work per node."""

from __future__ import annotations

from collections.abc import Callable

from swarmrig.model.console import plain_text
from swarmrig.model.facts import ConsoleLine

MAX_LINE = 4096
"""A longer line becomes several facts of at most this many characters, all with its one line number."""
MAX_BYTES = 16 * 2**20
"""Console bytes per node that become facts; the rest is only logged by the node."""


class ConsoleSplitter:
    """Splits one node's console into lines and passes each on with its number in console.log and its time.

    A line ends at LF (a CR before it is dropped) and has the time at which its end arrived.
    """

    def __init__(self, node: str, sink: Callable[[ConsoleLine], None], on_truncated: Callable[[str], None]) -> None:
        self._node = node
        self._sink = sink
        self._on_truncated = on_truncated
        self._rest = b""
        self.bytes = 0
        self.lines = 0

    def feed(self, t_ns: int, chunk: bytes) -> None:
        before, self.bytes = self.bytes, self.bytes + len(chunk)
        if before >= MAX_BYTES:
            return
        if self.bytes >= MAX_BYTES:
            self._on_truncated(self._node)
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            self._emit(t_ns, line)
            self.lines += 1
        while len(self._rest) > MAX_LINE:
            self._emit(t_ns, self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]

    def finish(self, t_ns: int) -> None:
        """The console ended: what has no line end yet is the last line."""
        if self._rest:
            self._emit(t_ns, self._rest)
            self._rest = b""
            self.lines += 1

    def _emit(self, t_ns: int, raw: bytes) -> None:
        text = plain_text(raw)
        for start in range(0, max(len(text), 1), MAX_LINE):
            self._sink(ConsoleLine(t_ns, self._node, self.lines + 1, text[start : start + MAX_LINE]))
