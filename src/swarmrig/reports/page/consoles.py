"""Consoles as the page shows them: as much as fits, with times, and with what deserves a look."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from swarmrig.checks.patterns import REBOOT, is_boot_marker, is_crash, is_memory_error, parse_log_line
from swarmrig.model.console import plain_text

LINES_SHOWN = 5000
"""Of one console, at most; the first fifth and the last ones."""
_BYTES = 3 << 20
"""Of all consoles together."""
_LONGEST = 2000
"""Characters of a line."""
_AROUND = 10
"""Lines before and after one that is evidence are always shown."""
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    t_ns: int | None
    text: str
    mark: str
    """Why it deserves a look: crash, error, warning, boot or reboot; empty for most."""


@dataclass(slots=True)
class Console:
    """Of one node. Lines that are left out are gaps in the numbers."""

    node: str
    lines: list[Line] = field(default_factory=list)
    total: int = 0
    problem: str = ""
    """Why it could not be read."""


def read_console(
    directory: Path, node: str, times: Mapping[int, int], evidence: Collection[int], share: int = 1
) -> Console:
    """The console of a node; `share` is the number of consoles that the page shows. Never raises."""
    console = Console(node)
    wanted = {line for number in evidence for line in range(number - _AROUND, number + _AROUND + 1)}
    limit = max(_BYTES // max(share, 1), 4096)
    shown = _Shown(limit // 5, limit - limit // 5)
    try:
        with (directory / f"nodes/{node}/console.log").open("rb") as file:
            for number, raw in _raw_lines(file):
                console.total = number
                shown.add(number, raw, number in wanted)
    except FileNotFoundError:
        console.problem = "this node has no console.log"
    except OSError as error:
        console.problem = f"console.log cannot be read: {error.strerror}"
    console.lines = [_line(number, raw, times.get(number)) for number, raw in shown.lines()]
    return console


class _Shown:
    """The first lines, the last ones, and those that are wanted in between."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self._head: dict[int, bytes] = {}
        self._wanted: dict[int, bytes] = {}
        self._tail: deque[tuple[int, bytes]] = deque()
        self._head_bytes, self._tail_bytes = head_bytes, tail_bytes

    def add(self, number: int, raw: bytes, wanted: bool) -> None:
        if self._head_bytes > 0 and len(self._head) < LINES_SHOWN // 5 and not self._tail:
            self._head_bytes -= len(raw)
            self._head[number] = raw
            return
        if wanted:
            self._wanted[number] = raw
        self._tail.append((number, raw))
        self._tail_bytes -= len(raw)
        while len(self._tail) > 1 and (self._tail_bytes < 0 or len(self._tail) > LINES_SHOWN * 4 // 5):
            self._tail_bytes += len(self._tail.popleft()[1])

    def lines(self) -> list[tuple[int, bytes]]:
        return sorted({**self._head, **self._wanted, **dict(self._tail)}.items())


def _raw_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered; of a long line only its beginning, and how long it was."""
    number = 0
    while raw := file.readline(_READ):
        number += 1
        size, last = len(raw), raw
        while not last.endswith(b"\n") and (last := file.readline(_READ)):
            size += len(last)
        if size > _LONGEST:
            raw = raw[:_LONGEST] + f" … ({size:,} bytes in all)".encode()
        yield number, raw


def _line(number: int, raw: bytes, t_ns: int | None) -> Line:
    text = plain_text(raw)
    return Line(number, t_ns, text, _mark(text))


def _mark(text: str) -> str:
    if is_crash(text) or is_memory_error(text):
        return "crash"
    if REBOOT.search(text):
        return "reboot"
    if is_boot_marker(text):
        return "boot"
    log = parse_log_line(text)
    return {"E": "error", "W": "warning"}.get(log.level, "") if log is not None else ""
