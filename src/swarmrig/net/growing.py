"""A file that only grows, block by block, and survives a full disk with what it has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from swarmrig.flash.copying import clone_or_copy


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

    def go_on_in(self, path: Path) -> None:
        """Grow on in a copy of the file, which stays as it is; OSError when it cannot be copied."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            clone_or_copy(self.path, fd)
            os.lseek(fd, 0, os.SEEK_END)
        except BaseException:
            os.close(fd)
            raise
        self.close()
        self.path, self._fd = path, fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
