"""The end of a run in words: verdict, checks with their evidence, where everything is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from swarmrig.cli.output import harmless
from swarmrig.model.record import RunRecord
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import CheckResult, Outcome
from swarmrig.reports.results import warnings
from swarmrig.runtime.run import FinishedRun

_COLOURS = {
    Outcome.PASS: "green",
    Outcome.WARN: "yellow",
    Outcome.FAIL: "red",
    Outcome.FATAL: "bright_red",
    Outcome.INCONCLUSIVE: "magenta",
}
_EVIDENCE_SHOWN = 3
_WIDEST_LABEL = 32


def summary_lines(finished: FinishedRun, page: Path | None = None, *, colours: bool) -> Iterator[str]:
    """What to print once a run is over; the last line is the path of the results."""
    record = finished.record
    width = min(max((len(result.label) for result in record.checks), default=0), _WIDEST_LABEL)
    yield ""
    for result in record.checks:
        yield from _check_lines(result, width, colours)
    for failure in record.failures:
        yield f"{_outcome(Outcome.FATAL, colours)} {harmless(failure)}"
    for warning in warnings(record):
        yield f"{'note':<13} {harmless(warning)}"
    yield ""
    yield _verdict_line(record, colours)
    if page is not None:
        yield f"report: {_short(page)}"
    yield f"results: {_short(finished.directory)}/results.json"


def _check_lines(result: CheckResult, width: int, colours: bool) -> Iterator[str]:
    """What passed has one pointer to its evidence, what did not has more, with notes."""
    judgement = result.judgement
    line = f"{_outcome(judgement.outcome, colours)} {result.label:<{width}}  {harmless(judgement.message)}"
    if judgement.outcome is Outcome.PASS:
        yield line + "".join(f" ({harmless(str(replace(first, note='')))})" for first in judgement.evidence[:1])
        return
    yield line
    for evidence in judgement.evidence[:_EVIDENCE_SHOWN]:
        yield f"{'':<13} {'':<{width}}  see {harmless(str(evidence))}"


def _verdict_line(record: RunRecord, colours: bool) -> str:
    verdict = click.style(record.verdict.value, fg=_COLOURS[record.verdict], bold=True) if colours else record.verdict
    interrupted = ", interrupted" if record.interrupted else ""
    return (
        f"{record.scenario.name}: {verdict} after {record.run_ns / NS_PER_S:.1f} s"
        f" (seed {record.scenario.seed}, tier {record.tier}{interrupted})"
    )


def _outcome(outcome: Outcome, colours: bool) -> str:
    text = f"{outcome.value:<13}"
    return click.style(text, fg=_COLOURS[outcome], bold=outcome is not Outcome.PASS) if colours else text


def _short(path: Path) -> str:
    """Relative to where we are, when that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
