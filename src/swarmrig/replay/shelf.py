"""The directories of former runs: what they are, how they ended, and how they go."""

from __future__ import annotations

import calendar
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.proc import RunScope
from swarmrig.proc.place import is_locked
from swarmrig.runtime.events import FILE as EVENTS
from swarmrig.scenario.problems import listing, suggest

_NAME = re.compile(r"(?P<name>.+)-(?P<stamp>\d{8}-\d{6})-(?P<id>[0-9a-f]{8})")
_DOCUMENTS = {
    "results.json": "run",
    "sweep.json": "sweep",
    "campaign.json": "campaign",
    "findings.json": "search",
    "summary.json": "suite",
}
"""What a finished directory holds, and what it is then. A run has a summary.json as well."""
LATEST = "last"
FRESH_S = 600.0
SETTLED_S = 60.0
"""What has no verdict may be writing it; it has ended when nothing has changed for so long."""
_HELD = {"suite.json": "suite", "begun.json": "campaign", "explore.json": "search"}
"""What is locked while such a thing goes on, also when it went on before and has written results then."""


class State(StrEnum):
    LIVE = "live"
    """It goes on."""
    FINISHED = "finished"
    UNFINISHED = "unfinished"
    """It has ended without a verdict: killed, or on a full disk."""


@dataclass(frozen=True)
class ShelvedRun:
    """One directory that a run, a sweep, a suite, a campaign or a search has made."""

    path: Path
    name: str
    id: str
    began_s: float
    """Seconds since the epoch."""

    @cached_property
    def state(self) -> State:
        if any(is_locked(os.fspath(self.path / file)) for file in _HELD):
            return State.LIVE
        if self._document is not None:
            return State.FINISHED
        return State.LIVE if self._in_use() else State.UNFINISHED

    def _in_use(self) -> bool:
        """A run holds a lock; a sweep is as alive as its latest run is young."""
        if is_alive(self.id) or is_locked(os.fspath(self.path / EVENTS)):
            return True
        try:
            return self.kind != "run" and time.time() - self.path.stat().st_mtime < FRESH_S
        except OSError:
            return False

    @property
    def kind(self) -> str:
        """run, sweep, suite, campaign or search."""
        if self._document is not None:
            return self._document[0]
        if _is_there(self.path / "net") or _is_there(self.path / EVENTS):
            return "run"
        return next((kind for file, kind in _HELD.items() if _is_there(self.path / file)), "sweep")

    @property
    def results(self) -> Mapping[str, Any]:
        """What it concluded; empty when it has not."""
        return {} if self._document is None else self._document[1]

    @property
    def verdict(self) -> str:
        """In a word, for people."""
        if self.state is not State.FINISHED:
            return self.state.value
        passed = self.results.get("all_pass") if self.kind == "suite" else not self.results.get("findings")
        return str(self.results.get("verdict", "PASS" if passed else "FAIL"))

    @property
    def changed_s(self) -> float:
        """When anything in it was written last, in seconds since the epoch."""
        return max((found.st_mtime for found in _files(self.path)), default=self.began_s)

    @cached_property
    def size(self) -> int:
        """Bytes on disk; what has two names counts once."""
        seen = {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in _files(self.path)}
        return sum(seen.values())

    @cached_property
    def _document(self) -> tuple[str, Mapping[str, Any]] | None:
        for file, kind in _DOCUMENTS.items():
            try:
                found = json.loads((self.path / file).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(found, dict):
                return kind, found
        return None


def _files(directory: Path) -> Iterator[os.stat_result]:
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                yield (Path(folder) / name).lstat()
            except OSError:  # a live run's, and gone by now
                continue


def _is_there(path: Path) -> bool:
    """False also where it cannot be seen: a container's run may belong to somebody else."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def is_alive(run_id: str) -> bool:
    """Does the rig or the guardian of this run live?"""
    return is_locked(os.fspath(RunScope(Path(), run_id).state_directory / "lock"))


def shelf(output: Path) -> list[ShelvedRun]:
    """All runs of an output directory, the latest first. A directory that no run has made is not among them."""
    try:
        found = [run for entry in output.iterdir() if (run := _shelved(entry)) is not None]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError(f"cannot read {output}: {error.strerror}") from error
    return sorted(found, key=lambda run: (run.began_s, run.id), reverse=True)


def _shelved(path: Path) -> ShelvedRun | None:
    matched = _NAME.fullmatch(path.name)
    if matched is None or path.is_symlink() or not path.is_dir():
        return None
    try:
        began = time.strptime(matched["stamp"] + " UTC", "%Y%m%d-%H%M%S %Z")
    except ValueError:
        return None
    return ShelvedRun(path, matched["name"], matched["id"], float(calendar.timegm(began)))


def find_run(named: str, output: Path, *, live: bool = False) -> ShelvedRun:
    """A run by its directory, the beginning of its name or id, or `last`. SwarmrigError says what there is.

    `live`: whoever asks would rather have one that goes on; of several that are meant it is that, else the latest.
    """
    path = Path(named)
    if path.name in _DOCUMENTS:
        path = path.parent
    direct = _shelved(path.absolute()) if os.sep in named or path.is_dir() else None
    if direct is not None:
        return direct
    runs = shelf(output)
    found = _meant(named, runs)
    going_on = [run for run in found if run.state is State.LIVE] if live else []
    if named == LATEST or (live and len(going_on) < 2):
        found = (going_on or found)[:1]
    if len(found) == 1:
        return found[0]
    hint = "`swarmrig runs list` lists them; --output-dir says where they are"
    if not found:
        hint = suggest(named, dict.fromkeys(run.name for run in runs)) or hint
        raise SwarmrigError(f"no run {named!r} in {output}" if runs else f"no runs in {output}", hint=hint)
    found = going_on or found
    some = listing([run.path.name for run in found], most=4)
    raise SwarmrigError(f"{named!r} is the beginning of {len(found)} runs: {some}", hint=hint)


def _meant(named: str, runs: Sequence[ShelvedRun]) -> Sequence[ShelvedRun]:
    if named == LATEST:
        return runs
    exactly = [run for run in runs if run.id.startswith(named) or run.path.name == named]
    return exactly or [run for run in runs if run.path.name.startswith(named)]


@dataclass(frozen=True, slots=True)
class Pruning:
    """Which runs may go: all that meet every condition."""

    keep: int = 0
    """So many of the latest stay, whatever they are."""
    older_than_s: float = 0.0
    verdicts: frozenset[str] = frozenset()
    """As ShelvedRun.verdict says them, in any case; empty: any."""

    def chosen(self, runs: Sequence[ShelvedRun], now_s: float) -> list[ShelvedRun]:
        """Of runs in the order of `shelf`. One that lives is never among them."""
        wanted = {verdict.lower() for verdict in self.verdicts}
        return [
            run
            for run in runs[self.keep :]
            if (run.state is State.FINISHED or _settled(run, now_s))
            and now_s - run.began_s >= self.older_than_s
            and (not wanted or run.verdict.lower() in wanted)
        ]


def _settled(run: ShelvedRun, now_s: float) -> bool:
    return run.state is State.UNFINISHED and now_s - run.changed_s >= SETTLED_S


def remove(run: ShelvedRun) -> None:
    """Remove its directory. HostError when that fails, or when it lives."""
    if run.state is State.LIVE:
        raise HostError(f"{run.path} is in use: its run goes on")
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise HostError(f"cannot remove {error.filename or run.path}: {error.strerror}") from error
