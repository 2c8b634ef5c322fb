"""What a program said last."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 16384


def last_words(path: Path, lines: int = 20) -> str:
    """The last lines of a log, printable, "" if there are none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    kept = [_printable(line) for line in text.splitlines() if line.strip()]
    return "\n".join(kept[-lines:])


def _printable(line: str) -> str:
    return "".join(
        char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line.rstrip()
    )
