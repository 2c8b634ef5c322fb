"""Copying big files without moving their bytes where the file system lets us."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

_FICLONE = 0x40049409
"""ioctl of linux/fs.h: share all blocks of another file, copy on write (btrfs, xfs, bcachefs, …)."""
_BLOCK = 64 * 1024
_ERASED = b"\xff" * _BLOCK
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EISDIR)


def clone_or_copy(source: Path, fd: int) -> bool:
    """Give the empty file `fd` the content of `source`; True when blocks are shared, False when they were copied."""
    with source.open("rb") as file:
        try:
            fcntl.ioctl(fd, _FICLONE, file.fileno())
            return True
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        _copy_data(file.fileno(), fd)
        return False


def fill(fd: int, offset: int, count: int) -> None:
    """Write `count` bytes of 0xFF (erased flash) at `offset`; nothing for a count below one."""
    while count > 0:
        blocks = [_ERASED] * min(count // _BLOCK, 64) or [_ERASED[: count % _BLOCK]]
        written = os.pwritev(fd, blocks, offset)
        offset += written
        count -= written


def write_at(fd: int, offset: int, data: bytes) -> None:
    """Write all of `data` at `offset`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def _copy_data(source: int, target: int) -> None:
    """Copy the data extents; holes stay holes."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    position = 0
    while position < size:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        position = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, position)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            copied = os.copy_file_range(source, target, end - start, start, start)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            copied = 0
        if not copied:  # also what some virtual file systems answer: copy by hand
            block = os.pread(source, min(_BLOCK, end - start), start)
            if not block:
                return
            write_at(target, start, block)
            copied = len(block)
        start += copied
