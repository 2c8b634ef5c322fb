"""Remove what a run has left when both its rig and its guardian were killed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.proc import place, probe, sweep
from swarmrig.proc.place import Place
from swarmrig.proc.scope import TAG, default_state_root

REASON = "rig and guardian were both killed; `swarmrig clean` removed what was left"
_NAME = re.compile(rf"({re.escape(place.UNFINISHED)})?[0-9a-z]{{8,32}}")


@dataclass(frozen=True, slots=True)
class CleanedRun:
    """One state directory that was found."""

    run_id: str
    live: bool
    """True: its rig or guardian lives, so it was left alone."""
    run_directory: str | None = None
    removed: tuple[str, ...] = ()
    """One line per thing, for people. With dry_run: what would be removed."""
    remaining: tuple[str, ...] = ()
    """What could not be removed, and why; the state directory stays then."""


@dataclass(frozen=True, slots=True)
class CleanReport:
    runs: tuple[CleanedRun, ...]

    @property
    def ok(self) -> bool:
        """False when something could not be removed."""
        return not any(run.remaining for run in self.runs)


def clean(state_root: Path | None = None, *, dry_run: bool = False) -> CleanReport:
    """Look at every run in the state root and remove all of those that are over.

    Processes go by pid, start time and boot, and by the tag in their environment; containers by label, links by
    alias, network namespaces by name, files by the journal. A run whose lock is held is not touched. Blocks for up to
    about two seconds per dead run.
    """
    root = state_root or default_state_root()
    names = sorted(entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name)) if root.is_dir() else []
    found = (_clean_one(root, name, dry_run) for name in names)
    return CleanReport(tuple(run for run in found if run))


def _clean_one(root: Path, name: str, dry_run: bool) -> CleanedRun | None:
    claimed = place.claim(str(root), name)
    if claimed is None:
        return CleanedRun(name, live=True) if (root / name).exists() else None
    try:
        return _clean_dead(claimed, dry_run)
    finally:
        os.close(claimed.lock)


def _clean_dead(claimed: Place, dry_run: bool) -> CleanedRun:
    began = time.monotonic()
    records = sweep.read_journal(claimed.journal_path)
    head: dict[str, Any] = next((record for record in records if record["t"] == "run"), {})
    directory = str(head["run_directory"]) if "run_directory" in head else None
    removed = sweep.Removed(dry_run=dry_run)
    if head.get("boot") == probe.boot_id():
        sweep.kill_all(_processes(claimed.run_id, records), removed, freeze=True)
        own = records
    else:  # another boot has ended every process, link and namespace; an engine keeps its containers
        own = [record for record in records if record["t"] in ("path", "containers")]
    roots = [claimed.directory, *([directory] if directory else [])]
    sweep.remove_resources(own, claimed.run_id, roots, removed, aborted=True)
    if not dry_run:
        if directory:
            sweep.write_aborted(directory, claimed.run_id, REASON, removed, time.monotonic() - began)
        sweep.drop_state(claimed, directory or "", keep=bool(removed.remaining))
    lines = (*removed.lines()[: -len(removed.remaining) or None], f"state directory {claimed.directory}")
    return CleanedRun(claimed.run_id, False, directory, lines, tuple(removed.remaining))


def _processes(run_id: str, records: list[dict[str, Any]]) -> Callable[[], set[int]]:
    """Looks for journalled ones, tagged ones, and all below them; never this process or one above it.

    What was found once stays found: by the next look its parent may be dead, or it runs another program, untagged.
    """
    found = sweep.journalled_processes(records)

    def look() -> set[int]:
        known = {pid for pid, start in found.items() if probe.start_time(pid) == start}
        known.update(pid for pid in probe.all_pids() if probe.variable(pid, TAG) == run_id)
        # First without those above: everything of this user may be below them.
        known -= _lineage()
        known = known.union(*map(probe.descendants, known)) - _lineage()
        found.update((pid, start) for pid in known if (start := probe.start_time(pid)) is not None)
        return known

    return look


def _lineage() -> set[int]:
    found, pid = set(), os.getpid()
    while pid and (seen := probe.stat(pid)):
        found.add(pid)
        pid = seen.parent
    return found
