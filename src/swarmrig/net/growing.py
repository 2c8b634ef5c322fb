"""A file that only grows, block by block, and survives a full disk with what it has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class GrowingFile:
    """A write that fails (disk full) ends it: it is cut back to its last whole block, `failure` says why, and what
    follows is dropped."""

    def __init__(self, path: Path) -> None:
        """Creates the file; OSError when that fails."""
        self.path = path
        self.failure: str | None = None
        self._size = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, block: bytes) -> None:
        """Append a block as a whole, or not at all; never raises."""
        if self.failure is not None or self._fd < 0:
            return
        left = memoryview(block)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self.failure = f"{self.path.name}: {error.strerror}"
            with suppress(OSError):  # a device, perhaps
                os.ftruncate(self._fd, self._size)
            return
        self._size += len(block)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
