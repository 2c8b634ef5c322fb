"""What the commands of `suite` do that read files and run nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmrig.cli.output import colours_wanted, counted, harmless, say, say_json
from swarmrig.errors import SwarmrigError
from swarmrig.model.verdict import EXIT_CODES, Outcome
from swarmrig.reports.document import write_document
from swarmrig.suites.manifest import read_manifest
from swarmrig.suites.media import MEDIA_FAULTS
from swarmrig.suites.summary import (
    RunFacts,
    ScenarioVerdict,
    differences,
    judge_row,
    over_runs,
    repetitions_in,
    required_columns,
    summarize,
    summary_text,
)

if TYPE_CHECKING:
    from swarmrig.suites.compare import Comparison, Judging
    from swarmrig.suites.suite import Suite


def summarize_manifest(
    manifest: Path, output: Path, mode: str, facts: RunFacts, expect: tuple[str, ...], file: Path | None
) -> int:
    """Write the summary of a manifest; returns the recommended exit code."""
    suite = _suite(file)
    suite = replace(suite, scenarios=expect or suite.scenarios)
    suite.thresholds(mode)  # before anything is read
    rows = read_manifest(manifest, required_columns(suite))
    places = (manifest.absolute().parent, Path(facts.run_dir).absolute(), Path.cwd())
    verdicts = [judge_row(row, suite, mode, places, warn) for row in rows]
    repetitions = repetitions_in(rows)
    document = summarize(verdicts, suite, mode, facts, repetitions=repetitions)
    write_document(output, summary_text(document))
    for verdict in verdicts:
        say(verdict_line(verdict))
    for each in over_runs(verdicts, suite, mode):
        say(f"{'PASS' if each.check.passed else 'FAIL':<13} {harmless(str(each))}")
    for difference in differences(verdicts, suite.scenarios, repetitions):
        warn(difference)
    passed = document["counts"]["pass"]
    say(f"{passed} of {counted(len(verdicts), 'scenario')} passed, mode {mode}: {output}")
    return int(document["recommended_exit_code"])


def _suite(file: Path | None) -> Suite:
    if file is None:
        return MEDIA_FAULTS
    from swarmrig.suites.load import load_suite

    return load_suite(file).suite


def tell_latency(
    first: Path,
    second: Path | None,
    match: Sequence[tuple[str, str]],
    filters: tuple[str | None, str | None],
    *,
    as_json: bool,
) -> int:
    """Measure latency in captures and print it; returns the exit code."""
    from swarmrig.suites.wire_latency import RTP_SEQUENCE, Pairing, measure
    from swarmrig.wire.filter import FilterError, compile_filter

    try:
        begin, end = (compile_filter(text) if text is not None else None for text in filters)
    except FilterError as error:
        raise SwarmrigError(str(error)) from error
    pairing = Pairing(match or RTP_SEQUENCE, begin, end)
    if second is None and all(one == other for one, other in pairing.fields) and begin is end is None:
        raise SwarmrigError(
            "in one capture, every frame is its own other half",
            hint="give a second capture, two fields (--match A=B), or --from and --to",
        )
    measured = measure(first, second, pairing)
    values = measured.as_values()
    say_json(values) if as_json else say(" ".join(f"{name}={value}" for name, value in values.items()))
    return 0 if measured.latencies_ns else EXIT_CODES[Outcome.FAIL]


def tell_comparison(first: Path, second: Path, judging: Judging, *, as_json: bool) -> int:
    """Compare two summaries and print what changed; returns the exit code."""
    from swarmrig.suites.compare import compare, load_summary, outcome

    comparisons = compare(load_summary(first), load_summary(second), judging)
    verdict = outcome(comparison.change for comparison in comparisons)
    if as_json:
        say_json({"verdict": verdict, "confidence": judging.confidence, "tolerance": judging.tolerance,
                  "comparisons": [comparison.as_json() for comparison in comparisons]})  # fmt: skip
        return EXIT_CODES[verdict]
    for comparison in comparisons:
        say(comparison_text(comparison, f"{comparison.change.value:<13}"))
    say("")
    counts = Counter(comparison.change for comparison in comparisons)
    say(", ".join(f"{counts[change]} {change.lower()}" for change in counts) + f": {verdict.value}")
    return EXIT_CODES[verdict]


def comparison_text(comparison: Comparison, word: str, variant: str = "") -> str:
    """A counter in a line that begins with a word."""
    before, after = comparison.medians
    text = f"{word} {harmless(comparison.scenario)}{variant} {harmless(comparison.metric)}: "
    if before is not None and after is not None:
        share = f" ({(after - before) / abs(before):+.1%})" if before else ""
        early, late = comparison.runs
        text += f"median {before:g} -> {after:g}{share}, {early} and {late} runs; "
    return text + harmless(comparison.message)


def verdict_line(verdict: ScenarioVerdict, which: str = "") -> str:
    """A scenario's verdict on a line."""
    outcome = Outcome.PASS if verdict.passed else Outcome.FAIL
    word = f"{outcome.value:<13}"
    if colours_wanted(sys.stdout):
        word = click.style(word, fg="green" if verdict.passed else "red", bold=not verdict.passed)
    return f"{word} {harmless(verdict.row.scenario_id)}{which}: {harmless(verdict.reason)}"


def warn(text: str) -> None:
    """Say it on stderr."""
    say(f"warning: {harmless(text)}", stream=sys.stderr)
