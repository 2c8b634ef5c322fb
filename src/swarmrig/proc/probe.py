"""What /proc knows about processes. Imported by the guardian, so: no import that costs milliseconds."""

# ruff: noqa: PTH110, PTH208
# (pathlib and contextlib would add 10 ms to the guardian's start)

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 5 ms of the guardian's start
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Stat(NamedTuple):
        state: str
        parent: int
        group: int
        session: int
        start: int

else:
    from collections import namedtuple

    Stat = namedtuple("Stat", "state parent group session start")

TAG = "SWARMRIG_RUN"
"""Environment variable that every process of a run carries; its value is the run id."""
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37


def boot_id() -> str:
    """Changes with every boot of the kernel; makes (pid, start time) unique for ever."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def stat(pid: int) -> Stat | None:
    """State letter, parent, process group, session and start time (clock ticks since boot); None when gone.

    proc(5): the second field is in parentheses and may itself contain any character.
    """
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def start_time(pid: int) -> int | None:
    """Clock ticks since boot; (pid, start time) names one process where a pid alone may be reused."""
    found = stat(pid)
    return found.start if found else None


def is_running(pid: int, start: int | None = None) -> bool:
    """True when the process exists, is no zombie, and is the one that began at `start`."""
    found = stat(pid)
    return found is not None and found.state not in "ZX" and start in (None, found.start)


def children(pid: int) -> list[int]:
    """Direct children, zombies included."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{thread}"):  # a kernel without CONFIG_PROC_CHILDREN
                return [other for other in all_pids() if (seen := stat(other)) and seen.parent == pid]
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on; zombies included, parents before children."""
    found = children(pid)
    for child in found:  # the list grows while it is walked
        found += children(child)
    return found


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def variable(pid: int, name: str) -> str | None:
    """The value that an environment variable had when the process was executed; None if absent or unreadable."""
    try:
        block = _read(f"/proc/{pid}/environ")
    except OSError:
        return None
    prefix = os.fsencode(name) + b"="
    for entry in block.split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return None


def command(pid: int) -> str:
    """The command line for people, at most 200 characters; "" when gone."""
    try:
        words = _read(f"/proc/{pid}/cmdline").split(b"\0")
        if not words[0]:
            return "[" + _read(f"/proc/{pid}/comm").decode(errors="replace").strip() + "]"
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace").strip()[:200]


def is_guardian(pid: int) -> bool:
    """Is it the guardian of a run?"""
    try:
        return b"from swarmrig.proc.guardian import main" in _read(f"/proc/{pid}/cmdline")
    except OSError:
        return False


def send_signal(pid: int, start: int | None, number: int) -> bool:
    """Signal exactly the process that began at `start`, never a later one with the same pid.

    False when it is gone; PermissionError when it belongs to somebody else.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if start is not None and start_time(pid) != start:
            return False
        _signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def kill(pid: int, start: int | None = None) -> bool:
    """SIGKILL, as `send_signal`."""
    return send_signal(pid, start, _signal.SIGKILL)


def be_subreaper(on: bool = True) -> bool:
    """Make orphaned descendants children of this process (prctl(2)); returns what it was before."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    return bool(before.value)


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        parts = []
        while part := file.read(65536):
            parts.append(part)
    return b"".join(parts)
