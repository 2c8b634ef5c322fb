"""A run's state directory: its lock, its journal, its temporary files. Shared with the guardian: cheap imports.

    <state root>/<run id>/lock            flock'd while the rig or its guardian lives
    <state root>/<run id>/journal.jsonl   what exists outside the directory, written before it is made
    <state root>/<run id>/tmp/            TMPDIR of every child

The directory appears under its name only once it is locked and its journal has begun, so whoever finds it
unlocked knows that its run is over.
"""

# ruff: noqa: PTH102, PTH104, PTH106, PTH116, PTH118, SIM105
# (pathlib and contextlib would add 10 ms to the guardian's start)

from __future__ import annotations

import errno
import fcntl
import os
import time

from swarmrig.proc import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

UNFINISHED = ".new-"
UNFINISHED_S = 60.0


class Place:
    """An open state directory; `lock` and `journal` are close-on-exec descriptors."""

    def __init__(self, run_id: str, directory: str, lock: int, journal: int) -> None:
        self.run_id = run_id
        self.directory = directory
        self.lock = lock
        self.journal = journal

    @property
    def journal_path(self) -> str:
        return os.path.join(self.directory, "journal.jsonl")


def create(state_root: str, run_id: str, head: str) -> Place:
    """Make, lock and begin the state directory. `head` is the first journal record, one line of JSON."""
    unfinished = os.path.join(state_root, UNFINISHED + run_id)
    directory = os.path.join(state_root, run_id)
    if os.path.lexists(directory):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), directory)
    os.mkdir(unfinished, 0o700)
    try:
        held = _furnish(run_id, unfinished, head)
        os.rename(unfinished, directory)
    except OSError:
        remove_tree(unfinished)
        raise
    held.directory = directory
    return held


def _furnish(run_id: str, unfinished: str, head: str) -> Place:
    lock = os.open(os.path.join(unfinished, "lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    journal = os.open(os.path.join(unfinished, "journal.jsonl"), flags, 0o600)
    me = os.getpid()
    os.write(
        journal, b'%s\n{"t":"guardian","pid":%d,"start":%d}\n' % (os.fsencode(head), me, probe.start_time(me) or 0)
    )
    os.mkdir(os.path.join(unfinished, "tmp"), 0o700)
    return Place(run_id, unfinished, lock, journal)


def claim(state_root: str, name: str) -> Place | None:
    """Lock a state directory whose run is over; None while it lives (or when it has just gone).

    A directory that has not got its name yet counts as living for a minute: its lock may be about to come.
    """
    directory = os.path.join(state_root, name)
    path = os.path.join(directory, "lock")
    try:
        if name.startswith(UNFINISHED) and time.time() - os.stat(directory).st_mtime < UNFINISHED_S:
            return None
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == os.stat(path).st_ino:
            return Place(name.removeprefix(UNFINISHED), directory, lock, -1)
    except OSError:
        pass
    os.close(lock)
    return None


def is_locked(path: str) -> bool:
    """Does somebody hold this lock? Looking keeps nobody from it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def remove_tree(directory: str) -> None:
    """Remove a directory and all below it, symbolic links unfollowed, as far as it can be done."""
    try:
        for _, directories, files, parent in os.fwalk(directory, topdown=False):
            for name in files:
                _attempt(os.unlink, name, parent)
            for name in directories:
                _attempt(os.rmdir, name, parent)
                _attempt(os.unlink, name, parent)  # a symbolic link to a directory
        os.rmdir(directory)
    except OSError:
        pass


def _attempt(action: Callable[..., None], name: str, parent: int) -> None:
    try:
        action(name, dir_fd=parent)
    except OSError:
        pass
