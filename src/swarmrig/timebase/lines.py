"""Console output to whole lines: reports cut lines off wherever they end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarmrig.timebase.protocol import Line

LINE_LIMIT = 1 << 20
"""Bytes of a console line that are kept; of a longer one, the rest is dropped up to its end."""


class LineJoiner:
    """Joins the pieces of one console."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, pieces: Iterable[Line]) -> Iterator[tuple[int, bytes]]:
        """The lines that end with these pieces, each with its time and its newline."""
        for piece in pieces:
            self._part += piece.data[: max(0, LINE_LIMIT - len(self._part))]
            if piece.complete:
                yield piece.t, self.take_rest()

    @property
    def rest(self) -> bytes:
        """The beginning of a line that has not ended."""
        return bytes(self._part)

    def take_rest(self) -> bytes:
        """The beginning of a line that has not ended; it is forgotten here."""
        rest = bytes(self._part)
        self._part.clear()
        return rest
