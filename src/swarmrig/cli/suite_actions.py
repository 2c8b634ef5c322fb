"""What the commands of `suite` do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from swarmrig.cli.output import counted, harmless, say
from swarmrig.reports.write import write_document
from swarmrig.suites.manifest import read_manifest
from swarmrig.suites.media import MEDIA_FAULTS
from swarmrig.suites.summary import (
    RunFacts,
    differences,
    judge_row,
    repetitions_in,
    required_columns,
    summarize,
    summary_text,
)


def summarize_manifest(manifest: Path, output: Path, mode: str, facts: RunFacts, expect: tuple[str, ...]) -> int:
    """Write the summary of a manifest; returns the recommended exit code."""
    suite = replace(MEDIA_FAULTS, scenarios=expect or MEDIA_FAULTS.scenarios)
    suite.thresholds(mode)  # before anything is read
    rows = read_manifest(manifest, required_columns(suite))
    places = (manifest.absolute().parent, Path(facts.run_dir).absolute(), Path.cwd())
    verdicts = [judge_row(row, suite, mode, places, _warn) for row in rows]
    repetitions = repetitions_in(rows)
    document = summarize(verdicts, suite, mode, facts, repetitions=repetitions)
    write_document(output, summary_text(document))
    for verdict in verdicts:
        status = "PASS" if verdict.passed else "FAIL"
        say(f"{status:<13} {harmless(verdict.row.scenario_id)}: {harmless(verdict.reason)}")
    for difference in differences(verdicts, suite.scenarios, repetitions):
        _warn(difference)
    passed = document["counts"]["pass"]
    say(f"{passed} of {counted(len(verdicts), 'scenario')} passed, mode {mode}: {output}")
    return int(document["recommended_exit_code"])


def _warn(text: str) -> None:
    say(f"warning: {harmless(text)}", stream=sys.stderr)
