"""What `campaign compare|trends|show|import` print."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from swarmrig.campaigns.compare import (
    FAILED,
    CampaignComparison,
    DigestChange,
    Kind,
    RunChange,
    Side,
    compare_campaigns,
    first_reason,
)
from swarmrig.campaigns.compare_metrics import MetricChange
from swarmrig.campaigns.history import opened
from swarmrig.campaigns.history_sources import find_campaign, results_in
from swarmrig.campaigns.results import Entry, Facts
from swarmrig.cli.output import colours_wanted, counted, harmless, say, say_json
from swarmrig.cli.suite_actions import comparison_text
from swarmrig.model.verdict import EXIT_CODES
from swarmrig.suites.compare import Change, Judging, Worse

MOST = 20
"""Lines of a kind that are printed; --json has all."""
_COLOURS = {
    Kind.NEWLY_FAILING: "red",
    Kind.FLAKY: "magenta",
    Kind.NOT_JUDGED: "magenta",
    Kind.NEWLY_WARNING: "yellow",
    Kind.STILL_FAILING: "red",
    Kind.NEWLY_PASSING: "green",
}


def import_directories(directories: Iterable[Path], history: Path) -> int:
    """Add campaigns to a history; all are read before anything is written."""
    found = [(directory, results_in(directory)) for directory in directories]
    with opened(history, create=True) as known:
        for directory, results in found:
            new = known.add(results, directory if directory.is_dir() else directory.parent)
            told = f"{counted(new, 'new run')} of {len(results.tasks)}"
            say(f"{harmless(results.campaign.name)} {results.campaign.id}: {told}")
    say(f"history: {harmless(str(history))}")
    return 0


def tell_comparison(
    first: str, second: str, history: Path, judging: Judging, worse: Mapping[str, Worse], *, as_json: bool
) -> int:
    """Compare two campaigns and print what changed; returns the exit code."""
    found = compare_campaigns(find_campaign(first, history), find_campaign(second, history), judging, worse)
    if as_json:
        say_json({"confidence": judging.confidence, "tolerance": judging.tolerance, **found.as_json()})
    else:
        for line in comparison_lines(found):
            say(line)
    return EXIT_CODES[found.verdict]


def comparison_lines(found: CampaignComparison) -> Iterator[str]:
    """As text."""
    yield f"before  {campaign_line(found.before)}"
    yield f"after   {campaign_line(found.after)}"
    for kind in Kind:
        if kind is not Kind.SAME:
            of_kind = [run for run in found.runs if run.kind is kind]
            yield from _section(kind.value, [_run_line(run) for run in of_kind], _COLOURS.get(kind))
    yield from _section("digests that changed", list(_digest_lines(found.digests)))
    yield from _section("metrics that moved", list(_metric_lines(found.metrics)))
    yield ""
    kinds = Counter(run.kind for run in found.runs)
    told = [f"{kinds[kind]} {kind.value}" for kind in Kind if kinds[kind]] or ["nothing to compare"]
    yield f"{', '.join(told)}: {found.verdict.value}"


def campaign_line(facts: Facts) -> str:
    """A campaign in a line."""
    shard = f" shard {facts.shard}" if facts.shard else ""
    commit = f", commit {facts.commit[:12]}" if facts.commit else ""
    text = f"{facts.name} {facts.id}{shard}, {facts.started_at}, swarmrig {facts.version}{commit}"
    return harmless(text + (", interrupted" if facts.interrupted else ""))


def named(scenario: str, variant: Mapping[str, str], seed: int) -> str:
    """A run of the matrix, for people."""
    labels = "".join(f" {axis}={label}" for axis, label in variant.items())
    return harmless(f"{scenario}{labels} seed {seed}")


def _section(title: str, lines: Sequence[str], colour: str | None = None) -> Iterator[str]:
    if not lines:
        return
    yield ""
    heading = f"{title} ({len(lines)})"
    yield click.style(heading, fg=colour, bold=True) if colours_wanted(sys.stdout) else heading
    yield from (f"  {line}" for line in lines[:MOST])
    if len(lines) > MOST:
        yield f"  and {len(lines) - MOST} more (--json has them all)"


def _run_line(run: RunChange) -> str:
    sure = " UNCLEAR" if run.change is Change.UNCLEAR else ""
    quarantined = " [quarantined]" if run.quarantined else ""
    return f"{named(run.scenario, run.variant, run.seed)}{sure}{quarantined}: {_one_line(run.message)}"


def _digest_lines(changes: Iterable[DigestChange]) -> Iterator[str]:
    """Those that have the same reason together."""
    by_reason: dict[str, list[DigestChange]] = {}
    for change in changes:
        reason = ", ".join(map(str, change.inputs)) or "UNCLEAR: nothing that is recorded has changed"
        by_reason.setdefault(reason, []).append(change)
    for reason, same in by_reason.items():
        first = same[0]
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{named(first.scenario, first.variant, first.seed)}{more}: {_one_line(reason)}"


def _metric_lines(metrics: Sequence[MetricChange]) -> Iterator[str]:
    told = [metric for metric in metrics if metric.judged or metric.moved]
    order = {Change.REGRESSION: 0, Change.UNCLEAR: 1, Change.IMPROVEMENT: 2, Change.SAME: 3}
    for metric in sorted(told, key=lambda each: (not each.judged, order[each.comparison.change])):
        word = metric.comparison.change.value if metric.judged else "moved"
        labels = "".join(f" {axis}={label}" for axis, label in metric.variant.items())
        yield comparison_text(metric.comparison, f"{word:<11}", harmless(labels))
    unclear = len(metrics) - len(told)
    if unclear:
        yield f"UNCLEAR: {counted(unclear, 'metric')} more differ, with too few runs or too much noise to be sure"


def tell_campaign(reference: str, history: Path, *, as_json: bool) -> int:
    """Print how one campaign went; always 0."""
    side = find_campaign(reference, history)
    if as_json:
        say_json({"campaign": side.facts, "tasks": side.tasks})
    else:
        for line in campaign_lines(side):
            say(line)
    return 0


def campaign_lines(side: Side) -> Iterator[str]:
    """One campaign as text: what did not pass, by what failed."""
    yield campaign_line(side.facts)
    by_reason: dict[str, list[Entry]] = {}
    words: Counter[str] = Counter()
    for entry in side.tasks:
        word = _verdict_word(entry)
        words[word] += 1
        if word not in ("PASS", "WARN"):
            by_reason.setdefault(f"{word}: {_one_line(first_reason(entry))}", []).append(entry)
    ordered = sorted(by_reason.items(), key=lambda each: -len(each[1]))
    for reason, entries in ordered[:MOST]:
        names = [named(entry.task.scenario, entry.task.variant, entry.task.seed) for entry in entries]
        yield from _section(reason, names)
    if len(ordered) > MOST:
        yield f"and {len(ordered) - MOST} more reasons (--json has them all)"
    yield ""
    yield f"{counted(len(side.tasks), 'run')}: " + ", ".join(f"{count} {word}" for word, count in words.items())


def _verdict_word(entry: Entry) -> str:
    if entry.result is None:
        return "not run"
    word = entry.result.verdict.value if entry.result.verdict else "not judged"
    counts = entry.task.quarantine is None or entry.result.verdict not in FAILED
    return word if counts else f"{word} (quarantined)"


def _one_line(text: str) -> str:
    return harmless(" ".join(text.split()))
