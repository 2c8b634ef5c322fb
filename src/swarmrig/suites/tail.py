"""Waiting for a line of a log that another process writes: the kernel tells when there is more (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from swarmrig.errors import HostError
from swarmrig.suites.logs import CHUNK, LONGEST_LINE

_IN_MODIFY = 2
_EVENTS = 1 << 16


class Tail:
    """A growing log, searched line by line. The file exists."""

    def __init__(self, path: Path, pattern: re.Pattern[str]) -> None:
        self._path = path
        self._pattern = pattern
        self._offset = 0
        self._rest = b""

    async def match(self) -> re.Match[str]:
        """The first whole line that matches, once it is there."""
        with _watched(self._path) as fd:
            while (match := self.look()) is None:
                await anyio.wait_readable(fd)
                os.read(fd, _EVENTS)
            return match

    def look(self) -> re.Match[str] | None:
        """The first whole line that matches, among those not yet looked at."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(CHUNK):
                self._offset += len(data)
                *lines, rest = (self._rest + data).split(b"\n")
                self._rest = rest[-LONGEST_LINE:]
                for line in lines:
                    if match := self._pattern.search(line.rstrip(b"\r").decode("utf-8", "replace")):
                        return match
        return None


@contextmanager
def _watched(path: Path) -> Iterator[int]:
    """A descriptor that is readable when the file was written to."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise HostError(f"inotify: {os.strerror(ctypes.get_errno())}", hint="see fs.inotify.max_user_instances")
    try:
        if libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
            raise HostError(f"inotify: {path}: {os.strerror(ctypes.get_errno())}")
        yield fd
    finally:
        os.close(fd)
