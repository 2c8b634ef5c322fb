"""What a console says, kept for those who wait for something in it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import TypeVar

import anyio

from swarmrig.model.console import plain_text

T = TypeVar("T")

LIMIT = 4 << 20
"""Characters that are kept; what is older cannot be searched any more."""


class Transcript:
    """Positions count characters from the very beginning, also when that is not kept any more."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._dropped = 0
        self._changed = anyio.Event()

    @property
    def end(self) -> int:
        """The position behind what has been said so far."""
        return self._dropped + len(self._text)

    def feed(self, chunk: bytes) -> None:
        self._text += self._decode(chunk)
        if len(self._text) > 2 * LIMIT:
            self._dropped += len(self._text) - LIMIT
            self._text = self._text[-LIMIT:]
        self._changed.set()
        self._changed = anyio.Event()

    def text(self, since: int, until: int | None = None) -> str:
        """What was said between two positions, as it came."""
        begin = max(0, since - self._dropped)
        return self._text[begin : None if until is None else max(0, until - self._dropped)]

    async def find(self, pattern: re.Pattern[str], since: int) -> tuple[re.Match[str], int]:
        """The first match behind a position, and the position behind that; waits for it for ever."""
        match = await self.until(lambda: pattern.search(self._text, max(0, since - self._dropped)))
        return match, self._dropped + match.end()

    async def until(self, found: Callable[[], T | None]) -> T:
        """What is found, asked for again whenever something is said, until there is something."""
        while (result := found()) is None:
            await self._changed.wait()
        return result

    @property
    def open_line(self) -> str:
        """What stands behind the last line end, as people see it: a prompt, say."""
        return plain_text(self._text[self._text.rfind("\n") + 1 :].encode())

    def last_lines(self, count: int = 15) -> str:
        """The end of it, for people."""
        lines = [plain_text(line.encode()).rstrip() for line in self._text[-count * 200 :].splitlines()]
        return "\n".join([line for line in lines if line][-count:])
