"""A run's state directory: its lock, its journal, its temporary files. Shared with the guardian: cheap imports.

# ruff: noqa: PTH (pathlib costs 10 ms of the guardian's start)

    <state root>/<run id>/lock            flock'd while the rig or its guardian lives
    <state root>/<run id>/journal.jsonl   what exists outside the directory, written before it is made
    <state root>/<run id>/tmp/            TMPDIR of every child

The directory appears under its name only once it is locked and its journal has begun, so whoever finds it
unlocked knows that its run is over.
"""

from __future__ import annotations

import fcntl
import os

from swarmrig.proc import probe

UNFINISHED = ".new-"


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
    os.mkdir(unfinished, 0o700)
    lock = os.open(os.path.join(unfinished, "lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    journal = os.open(os.path.join(unfinished, "journal.jsonl"), flags, 0o600)
    me = os.getpid()
    os.write(
        journal, b'%s\n{"t":"guardian","pid":%d,"start":%d}\n' % (os.fsencode(head), me, probe.start_time(me) or 0)
    )
    os.mkdir(os.path.join(unfinished, "tmp"), 0o700)
    os.rename(unfinished, directory)
    return Place(run_id, directory, lock, journal)


def claim(state_root: str, name: str) -> Place | None:
    """Lock a state directory whose run is over; None while it lives (or when it has just gone)."""
    directory = os.path.join(state_root, name)
    path = os.path.join(directory, "lock")
    try:
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
