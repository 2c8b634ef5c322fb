"""Logs of any size in little memory: the last line that holds a marker, and matches of patterns.

A program says its counters when it ends, so the markers are looked for from the end of the file backwards, a
mebibyte at a time, and no further back than needed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 20
LONGEST_LINE = 1 << 16
"""Of a longer line, this much is read before the marker, and as much after it."""


class LogError(Exception):
    """A log that is there and cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class LastLines:
    """By marker, the last line that holds it, without its line end; undecodable bytes are replaced."""

    lines: Mapping[str, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    """Markers whose line ends with the file and not with a line end: its last value may be cut."""


def last_lines(path: Path, markers: Sequence[str]) -> LastLines:
    """Look for every marker; a log that does not exist holds none. Raises LogError."""
    with _opened(path) as fd:
        if fd is None:
            return LastLines()
        try:
            return _found_lines(fd, {marker: marker.encode() for marker in markers})
        except OSError as error:
            raise LogError(f"cannot be read: {error.strerror}") from error


def _found_lines(fd: int, markers: Mapping[str, bytes]) -> LastLines:
    lines: dict[str, str] = {}
    unfinished: set[str] = set()
    for marker, offset in _last_offsets(fd, markers).items():
        line, ended = _line_around(fd, offset)
        lines[marker] = line.decode("utf-8", "replace")
        if not ended:
            unfinished.add(marker)
    return LastLines(lines, frozenset(unfinished))


def _last_offsets(fd: int, markers: Mapping[str, bytes]) -> dict[str, int]:
    """Where each marker occurs last; absent ones are left out."""
    missing = dict(markers)
    found: dict[str, int] = {}
    overlap = max(map(len, markers.values()), default=1) - 1
    end, behind = os.fstat(fd).st_size, b""
    while end > 0 and missing:
        start = max(0, end - CHUNK)
        chunk = os.pread(fd, end - start, start) + behind
        # Backwards is not only where the counters are: `rfind` skips ahead by whole words, `in` reads every byte.
        places = {name: chunk.rfind(marker) for name, marker in missing.items()}
        found |= {name: start + place for name, place in places.items() if place >= 0}
        missing = {name: marker for name, marker in missing.items() if name not in found}
        behind, end = chunk[:overlap], start
    return found


def _line_around(fd: int, offset: int) -> tuple[bytes, bool]:
    """The line that has this offset in it, and whether it has an end."""
    start = max(0, offset - LONGEST_LINE)
    before = os.pread(fd, offset - start, start)
    after = os.pread(fd, LONGEST_LINE, offset)
    head = before[before.rfind(b"\n") + 1 :]
    tail, newline, _ = after.partition(b"\n")
    return (head + tail).rstrip(b"\r"), bool(newline) or len(after) == LONGEST_LINE


@dataclass(slots=True)
class Matches:
    """What a pattern found in a log."""

    count: int = 0
    last: str | None = None
    """What its first group caught the last time; None when it has no group or nothing matched."""


def match_lines(path: Path, patterns: Mapping[str, re.Pattern[str]]) -> dict[str, Matches]:
    """How often each pattern matches, line by line, at most once a line. Raises LogError."""
    found = {name: Matches() for name in patterns}
    with _opened(path) as fd:
        if fd is not None:
            for line in _lines(fd):
                for name, pattern in patterns.items():
                    if match := pattern.search(line):
                        found[name].count += 1
                        found[name].last = match[1] if pattern.groups else None
    return found


def _lines(fd: int) -> Iterator[str]:
    rest = b""
    try:
        while chunk := os.read(fd, CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line.rstrip(b"\r").decode("utf-8", "replace")
            if len(rest) > LONGEST_LINE:
                yield rest.decode("utf-8", "replace")
                rest = b""
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}") from error
    if rest:
        yield rest.rstrip(b"\r").decode("utf-8", "replace")


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """The regular file, None when there is nothing of that name."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO without a writer must not block
    except FileNotFoundError:
        yield None
        return
    except (OSError, ValueError) as error:
        raise LogError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise LogError("is no regular file")
        yield fd
    finally:
        os.close(fd)
