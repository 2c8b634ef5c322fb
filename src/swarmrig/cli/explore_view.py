"""What `explore` says: how far it is, what it has found, and what that rests on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status

from swarmrig.cli.output import counted, harmless, say, say_json_line

if TYPE_CHECKING:
    from swarmrig.search.explore import Explored
    from swarmrig.search.findings import Finding
    from swarmrig.search.hunt import Progress


class Teller:
    """Says it on the terminal: progress on stderr, results on stdout; or all of it in lines of JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._status: Status | None = None
        self._told: dict[int, str] = {}

    @contextmanager
    def watching(self, directory: Path) -> Iterator[None]:
        """While it goes on."""
        if not self._as_json:
            say(f"searching; all of it is in {directory}", stream=sys.stderr)
        if self._as_json or not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status("the scenario as it is") as self._status:
            yield
        self._status = None

    def progress(self, progress: Progress) -> None:
        """One more schedule was run."""
        if self._as_json:
            say_json_line(
                {
                    "kind": "progress",
                    "schedules": progress.schedules,
                    "covered": progress.covered,
                    "findings": len(progress.findings),
                }
            )
        elif self._status is not None:
            self._status.update(
                f"{counted(progress.schedules, 'schedule')}, {progress.covered} states, "
                f"{counted(len(progress.findings), 'finding')}"
            )

    def found(self, finding: Finding) -> None:
        """Something was found, is smaller, or confirmed."""
        if self._as_json:
            say_json_line({"kind": "finding", **finding.as_json()})
            return
        steps = f"{len(finding.schedule.strikes)} of {len(finding.first.strikes)} faults are left"
        text = f"confirmed {finding.confirmed} of {finding.asked}" if finding.runs else steps
        if self._status is not None:
            self._status.update(f"finding {finding.number}, {harmless(finding.broken.check)}: {text}")
        if finding.number not in self._told:
            self._told[finding.number] = text
            broken = f"{finding.broken.check} breaks in schedule {finding.found_at}"
            say(f"finding {finding.number}: {harmless(broken)}, shrinking", stream=sys.stderr)

    def conclude(self, done: Explored) -> None:
        """The whole result."""
        if self._as_json:
            say_json_line({"kind": "result", "directory": str(done.directory), "results": done.as_json()})
            return
        for text in _lines(done):
            say(harmless(text))


def _lines(done: Explored) -> Iterator[str]:
    from swarmrig.search.written import module_path, scenario_path, sureness

    for finding in done.progress.findings:
        shown = finding.shown
        yield f"finding {finding.number}: {shown.check}: {shown.outcome}: {shown.message}"
        for strike in finding.schedule.strikes:
            unseen = finding.runs and strike.name not in finding.proved
            yield f"    {strike}{'  (its effect was not seen)' if unseen else ''}"
        yield f"    {sureness(finding)}"
        yield f"    repeat: swarmrig run {scenario_path(finding, done.directory)}"
        yield f"    test:   {module_path(finding, done.directory)}"
        yield ""
    yield from _extent(done)
    yield from (f"warning: {warning}" for warning in done.warnings)
    yield _verdict(done)
    yield f"results: {done.directory}/findings.json"


def _extent(done: Explored) -> Iterator[str]:
    progress = done.progress
    how = f", {progress.forked} forked" if progress.forked else ""
    yield (
        f"{counted(progress.schedules, 'schedule')} in {progress.elapsed_s:.0f} s "
        f"({counted(progress.runs, 'run')} with shrinking{how})"
    )
    if progress.failed:
        yield f"{counted(progress.failed, 'run')} failed and tells nothing, the first one: {progress.why_failed}"
    start = progress.growth[0][1] if progress.growth else 0
    late = [count for number, count in progress.growth if number <= progress.schedules // 2]
    yield (
        f"states seen: {progress.covered} (after the first that was new {start}, after half of the schedules "
        f"{late[-1] if late else 0})"
    )
    tried = ", ".join(f"{kind} {progress.proved[kind]}/{count}" for kind, count in sorted(progress.done.items()))
    yield f"faults that took effect, of those tried: {tried or 'none'}"
    if done.space.left_out:
        yield f"not tried: {', '.join(done.space.left_out)} (findings.json says why)"


def _verdict(done: Explored) -> str:
    if done.progress.interrupted:
        return "interrupted: --resume goes on"
    if done.progress.findings:
        return f"{counted(len(done.progress.findings), 'finding')}"
    if done.nothing_tried:
        return f"nothing was tried: {done.nothing_tried}"
    return "nothing was found: every check held in all of these runs"
