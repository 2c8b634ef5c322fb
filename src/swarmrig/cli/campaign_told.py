"""What is said at the end of a campaign: the table, what did not pass, CI, history, report."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from swarmrig.campaigns.results import CampaignResults, document
from swarmrig.campaigns.text import headline, summary_text
from swarmrig.cli.campaign_ci import tell_ci
from swarmrig.cli.campaign_options import Aftermath
from swarmrig.cli.output import colours_wanted, harmless, say, say_json_line
from swarmrig.errors import MissingExtraError, SwarmrigError
from swarmrig.model.verdict import EXIT_INTERRUPTED

MOST_ROWS = 60
_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red", "FATAL": "red"}


def tell_end(results: CampaignResults, directory: Path, aftermath: Aftermath, hints: Sequence[str] = ()) -> int:
    """Say how it ended, to whoever listens; returns the exit code."""
    notes = list(_aftermath(directory, aftermath))
    if aftermath.as_json:
        say_json_line({"kind": "result", "directory": str(directory), "results": document(results)})
    else:
        for line in _lines(results, directory, notes):
            say(line)
    for hint in dict.fromkeys(hints):
        say(f"hint: {harmless(hint)}", stream=sys.stderr)
    tell_ci(results, directory)
    return results.exit_code


def _aftermath(directory: Path, aftermath: Aftermath) -> Iterator[str]:
    """What cannot be remembered, or shown, changes no verdict."""
    try:
        if aftermath.history is not None:
            from swarmrig.campaigns.history import remember

            remember(aftermath.history, directory)
            yield f"history: {aftermath.history}"
    except SwarmrigError as error:
        say(f"warning: {harmless(str(error))}", stream=sys.stderr)
    try:
        if aftermath.report:
            from swarmrig.campaigns.page.render import write_page

            yield f"report: {write_page(directory)}"
    except MissingExtraError as error:
        yield f"no report: {error.message} ({error.hint})"
    except SwarmrigError as error:
        say(f"warning: {harmless(str(error))}", stream=sys.stderr)


def _lines(results: CampaignResults, directory: Path, notes: Sequence[str]) -> Iterator[str]:
    yield ""
    yield from _table(results)
    for line in summary_text(results).splitlines()[3:]:
        yield harmless(line.removeprefix("## "))
    yield ""
    verdict = results.verdict.value
    if colours_wanted(sys.stdout):
        verdict = click.style(verdict, fg=_COLOURS[verdict], bold=True)
    yield f"{results.campaign.name}: {verdict}, {headline(results)}, exit code {results.exit_code}"
    if results.exit_code == EXIT_INTERRUPTED or results.campaign.stopped is not None:
        yield f"go on with: swarmrig campaign run --resume {directory}"
    yield from notes
    yield f"results: {directory}/campaign.json"


def _table(results: CampaignResults) -> Iterator[str]:
    """A line for each scenario with each variant."""
    rows: dict[tuple[str, ...], Counter[str]] = {}
    for entry in results.tasks:
        row = (entry.task.scenario, *(f"{axis}={label}" for axis, label in entry.task.variant.items()))
        word = f"{entry.word} (quarantined)" if entry.task.quarantine is not None else entry.word
        rows.setdefault(row, Counter())[word] += 1
    names = {row: harmless("  ".join(row)) for row in rows}
    width = max((len(name) for name in names.values()), default=0)
    for row, counts in list(rows.items())[:MOST_ROWS]:
        yield f"{names[row]:<{width}}  {', '.join(f'{count} {word}' for word, count in counts.items())}"
    if len(rows) > MOST_ROWS:
        yield f"… and {len(rows) - MOST_ROWS} more: campaign.json has them all"
