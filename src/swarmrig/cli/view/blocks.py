"""Tables that share a terminal: lines of fixed width, few enough to fit, made several times a second.

Rich draws tables too, but measures every cell of them each time; a view that is looked at beside a swarm must not take
the processor's time from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from swarmrig.cli.output import harmless

Entry = TypeVar("Entry")
Cell = str | tuple[str, str]
"""Text, or text and its style."""
Line = list[tuple[str, str]]
"""Texts and their styles, one after the other."""

_GAP = "  "
_TITLE, _REST = "bold dim", "dim"
_LEAST_TEXT = 16
"""The last column keeps so much of a narrow terminal."""


def one_line(text: object, width: int) -> str:
    """What a guest says, fit for a cell: nothing that steers a terminal or breaks the line, and not much more than can
    be seen."""
    return harmless(str(text)[:width]).replace("\n", " ").replace("\t", " ")


@dataclass(frozen=True, slots=True)
class Block(Generic[Entry]):
    """A table. When there is no room for all its entries, the urgent ones come first and the rest is counted."""

    columns: tuple[str, ...]
    """Titles; `>` marks numbers. The last column has what room the others leave."""
    entries: Sequence[Entry]
    cells: Callable[[Entry], Sequence[Cell]]
    state: Callable[[Entry], str] | None = None
    """The word by which those are counted that are not shown; None for a log, of which the last entries are shown."""
    urgent: Callable[[Entry], bool] = bool
    least: int = 2
    """Entries that it wants even on a small terminal."""

    def lines(self, entries: int, width: int) -> list[Line]:
        """Its title and so many of its entries, at most."""
        shown, hidden = self._choose(entries)
        rows: list[Sequence[Cell]] = [[(title.lstrip(">"), _TITLE) for title in self.columns]]
        rows += [self.cells(entry) for entry in shown]
        texts = [[_cell(cell, width) for cell in row] for row in rows]
        widths = _widths(texts, width)
        numbers = [title.startswith(">") for title in self.columns]
        lines = [_row(row, widths, numbers) for row in texts]
        if hidden and self.state is not None:
            counts = ", ".join(f"{number} {word}" for word, number in Counter(map(self.state, hidden)).items())
            lines.append([(f"... {len(hidden)} more: {counts}"[:width], _REST)])
        return lines

    def _choose(self, room: int) -> tuple[Sequence[Entry], Sequence[Entry]]:
        if len(self.entries) <= room:
            return self.entries, ()
        if self.state is None:
            return self.entries[len(self.entries) - room :], ()
        ordered = sorted(self.entries, key=lambda entry: not self.urgent(entry))
        return ordered[: room - 1], ordered[room - 1 :]  # the last line counts the others


def fitted(blocks: Iterable[Block[Entry]], height: int, width: int) -> list[Line]:
    """All blocks that have entries, in `height` lines; those that come first get room first."""
    wanted = [block for block in blocks if block.entries]
    room = height - len(wanted)  # their titles
    given = [0] * len(wanted)
    for limit in ([min(block.least, len(block.entries)) for block in wanted], [len(block.entries) for block in wanted]):
        for index, most in enumerate(limit):
            more = max(0, min(most - given[index], room))
            given[index] += more
            room -= more
    return [line for block, rows in zip(wanted, given, strict=True) if rows for line in block.lines(rows, width)]


class Lines:
    """Lines as rich prints them."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = list(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            if number:
                yield Segment.line()
            for text, style in line:
                yield Segment(text, Style.parse(style))


def _cell(cell: Cell, width: int) -> tuple[str, str]:
    text, style = cell if isinstance(cell, tuple) else (cell, "")
    return one_line(text, width), style


def _widths(rows: Sequence[Sequence[tuple[str, str]]], width: int) -> list[int]:
    """The first column gives way when the last one would have next to nothing."""
    *widths, last = [max(cell_len(text) for text, _ in column) for column in zip(*rows, strict=True)]
    least, rest = min(last, _LEAST_TEXT), width - sum(widths) - len(_GAP) * len(widths)
    if rest < least and widths:
        widths[0] = max(4, widths[0] - (least - rest))
        rest = width - sum(widths) - len(_GAP) * len(widths)
    return [*widths, max(0, rest)]


def _row(cells: Sequence[tuple[str, str]], widths: Sequence[int], numbers: Sequence[bool]) -> Line:
    line: Line = []
    for (text, style), width, number in zip(cells, widths, numbers, strict=True):
        fits = cell_len(text) <= width
        shown = text if fits else set_cell_size(text, max(0, width - 1)) + "…" * (width > 0)
        padding = " " * max(0, width - cell_len(shown))
        line += [(padding + shown if number else shown + padding, style), (_GAP, "")]
    *line, (last, style), _ = line
    return [*line, (last.rstrip(), style)]  # what is not there needs no room when the terminal gets narrower
