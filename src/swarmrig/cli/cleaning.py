"""`clean`: what was found of dead runs, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from swarmrig.cli.failures import EXIT_BROKEN
from swarmrig.cli.output import counted, harmless, say
from swarmrig.proc.clean import CleanReport, clean


def clean_up(*, dry_run: bool) -> int:
    """Clean and tell; 3 when something could not be removed."""
    report = clean(dry_run=dry_run)
    for line in report_lines(report, dry_run=dry_run):
        say(line)
    for run in report.runs:
        for what in run.remaining:
            say(f"error: run {run.run_id}: not removed: {harmless(what)}", stream=sys.stderr)
    return 0 if report.ok else EXIT_BROKEN


def report_lines(report: CleanReport, *, dry_run: bool) -> Iterator[str]:
    """One line per thing, then one that sums up."""
    dead = [run for run in report.runs if not run.live]
    verb = "would remove" if dry_run else "removed"
    for run in dead:
        yield f"run {run.run_id}" + (f" ({harmless(run.run_directory)})" if run.run_directory else "")
        for what in run.removed:
            yield f"  {verb} {harmless(what)}"
    live = len(report.runs) - len(dead)
    found = f"{counted(len(dead), 'dead run')} found" if dead else "nothing to clean"
    yield found + (f"; {counted(live, 'live run')} left alone" if live else "")
