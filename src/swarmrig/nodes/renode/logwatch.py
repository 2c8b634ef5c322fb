"""Renode's log, as it writes it to its standard output: what tells that it listens, and what is wrong."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

import anyio

KEPT = 20
_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d+ \[(\w+)\] (.*)")
_LISTENS = "Monitor available in telnet mode on port"
_FATAL = re.compile(r"CPU abort|CPU was halted")
LINE_LIMIT = 4096


class LogWatch:
    """`feed` takes the log as it comes, in any pieces."""

    def __init__(self) -> None:
        self.listening = anyio.Event()
        self.failed = anyio.Event()
        self.failure: str | None = None
        """The first error after which a machine does nothing any more: a command that lets it run may never return."""
        self.on_failure: Callable[[str], None] = _ignore
        self._errors: deque[str] = deque(maxlen=KEPT)
        self._rest = b""

    @property
    def errors(self) -> str:
        """The last errors, one a line; "" if there was none."""
        return "\n".join(self._errors)

    def feed(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[:LINE_LIMIT]
        for line in lines:
            self._take(line.decode("utf-8", "replace").rstrip("\r"))

    def _take(self, line: str) -> None:
        found = _LINE.match(line)
        if found is None:
            return
        level, text = found[1], found[2]
        if text.startswith(_LISTENS):
            self.listening.set()
        elif level == "ERROR":
            self._errors.append(text)
            if _FATAL.search(text) and self.failure is None:
                self.failure = text
                self.failed.set()
                self.on_failure(text)


def _ignore(_: str) -> None:
    """Nobody waits for anything yet."""
