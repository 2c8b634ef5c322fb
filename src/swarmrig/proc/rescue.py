"""When the guardian itself was killed: the rig, a subreaper as long as a spawner is open, does its work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from swarmrig.proc import probe, sweep
from swarmrig.proc.place import Place
from swarmrig.proc.scope import TAG, RunScope

REASON = "the guardian process died (killed, or crashed); the rig removed what it had guarded"

_open = 0
_was_subreaper = False


@contextmanager
def subreaper() -> Iterator[None]:
    """While inside (contexts may overlap), orphans of this process's children become its children."""
    global _open, _was_subreaper
    if not _open:
        _was_subreaper = probe.be_subreaper()
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            probe.be_subreaper(_was_subreaper)


def kill_groups(spawned: Mapping[int, int]) -> list[str]:
    """SIGKILL the process group of every known process, at once; returns who was there, for people."""
    killed = []
    for pid, start in spawned.items():
        if probe.is_running(pid, start):
            killed += [f"{member} ({probe.command(member)})" for member in _group(pid)]
        if probe.start_time(pid) == start:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
    return killed


def _group(leader: int) -> list[int]:
    """The leader, and those below it that end with its group; who is there must be asked before."""
    members = [leader]
    for pid in probe.descendants(leader):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == leader:
                members.append(pid)
    return members


def end_of_run(scope: RunScope, place: Place, spawned: Mapping[int, int], killed: list[str]) -> None:
    """Kill, reap and remove everything of the run; leaves `aborted.json` in the run directory. Blocks ≤ 2 s.

    `killed` is what `kill_groups` has said.
    """
    began = time.monotonic()
    removed = sweep.Removed()
    removed.processes += killed
    records = sweep.read_journal(place.journal_path)
    known = {**sweep.journalled_processes(records), **spawned}
    mine: set[int] = set()

    def targets() -> set[int]:
        mine.update(_of_run(scope, known))
        for pid in mine:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return mine

    sweep.kill_all(targets, removed, freeze=True)
    directories = (place.directory, str(scope.run_directory))
    sweep.remove_resources(records, scope.run_id, directories, removed, aborted=True)
    sweep.write_aborted(str(scope.run_directory), scope.run_id, REASON, removed, time.monotonic() - began)
    sweep.drop_state(place, str(scope.run_directory), keep=bool(removed.remaining))


def _of_run(scope: RunScope, known: Mapping[int, int]) -> set[int]:
    """Adopted children known by pid, in their sessions, or with the run's tag, and all below them."""
    found = set()
    for pid in probe.children(os.getpid()):
        seen = probe.stat(pid)
        if seen and (known.get(pid) == seen.start or seen.session in known or probe.variable(pid, TAG) == scope.run_id):
            found.add(pid)
    return found.union(*map(probe.descendants, found))
