"""What a console has said since its node was first switched on, and what of it has been expected already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OVERLAP = 1 << 16
"""Text that was searched in vain is searched again with what follows it, as far back as this many bytes."""
TAIL_LINES = 12

Pattern = str | bytes | re.Pattern[str] | re.Pattern[bytes]
"""A regular expression. Of bytes, its groups are bytes; of text, they are text."""


class Transcript:
    """Reads a node's console.log as it grows: what was said before anybody listened is not lost."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.unfinished = b""
        """The beginning of a line that is not in the log yet."""
        self.consumed = 0
        """What is expected next comes after so many bytes."""
        self._logged = bytearray()

    def refresh(self) -> None:
        """Take in what the log has got since."""
        try:
            with self.log.open("rb") as file:
                file.seek(len(self._logged))
                self._logged += file.read()
        except FileNotFoundError:  # the node has said nothing
            return

    def since(self, begin: int) -> bytes:
        """What has been said from there on."""
        return bytes(self._logged[begin:]) + self.unfinished

    @property
    def size(self) -> int:
        """Bytes that are for good."""
        return len(self._logged)

    def line_before(self, position: int) -> int:
        """Where the line begins that `position` is in."""
        return self._logged.rfind(b"\n", 0, max(position, 0)) + 1

    def tail(self) -> str:
        """The last lines, for a message."""
        text = self.since(self.line_before(self.size - 4096))
        return "\n".join(text.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern in a transcript, with the place behind it."""

    pattern: re.Pattern[Any]
    match: re.Match[Any]
    end: int


class Search:
    """Looks for the first of some patterns in what has not been consumed, again and again as more is said."""

    def __init__(self, transcript: Transcript, patterns: Sequence[re.Pattern[Any]]) -> None:
        self.patterns = list(patterns)
        self._transcript = transcript
        self._begin = transcript.consumed

    def drop(self, found: Found) -> None:
        """Look for the others, from the place on where the search began."""
        self.patterns = [pattern for pattern in self.patterns if pattern != found.pattern]

    def look(self) -> Found | None:
        """The one that begins first; at one place, the first of the list."""
        transcript = self._transcript
        transcript.refresh()
        raw = transcript.since(self._begin)
        text = raw.decode("utf-8", "surrogateescape")
        found: list[tuple[int, Found]] = []
        for pattern in self.patterns:
            of_bytes = isinstance(pattern.pattern, bytes)
            match = pattern.search(raw if of_bytes else text)
            if match is not None:
                start, end = (at if of_bytes else _size(text[:at]) for at in match.span())
                found.append((start, Found(pattern, match, self._begin + end)))
        if not found:
            self._begin = max(self._begin, transcript.line_before(transcript.size - OVERLAP))
            return None
        return min(found, key=lambda one: one[0])[1]


def compiled(pattern: Pattern) -> re.Pattern[Any]:
    """ValueError when it is no regular expression. `^` and `$` stand for lines."""
    if isinstance(pattern, re.Pattern):
        return pattern
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"no regular expression: {pattern!r}: {error}") from None


def exactly(text: str | bytes) -> re.Pattern[Any]:
    """This text and nothing else."""
    escaped: str | bytes = re.escape(text)  # type: ignore[type-var]
    return re.compile(escaped)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
