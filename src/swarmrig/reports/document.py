"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from swarmrig.errors import HostError


def write_document(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the directories that it needs; a device or a pipe is written to as it is.

    Raises HostError.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path.resolve(), text)
    except (OSError, ValueError) as error:
        raise HostError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def write_whole(path: Path, text: str) -> Path:
    """Replace a file by this text; OSError when that fails, and then it is as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return path
