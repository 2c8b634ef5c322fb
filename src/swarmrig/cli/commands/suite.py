"""`swarmrig suite summarize`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import option

_FILE = click.Path(path_type=Path, dir_okay=False)


def _names(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """`a,b` and repeated options alike."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


@click.group("suite")
def command() -> None:
    """Run fault suites, judge them against thresholds, compare their numbers."""


@command.command("summarize")
@option("--manifest", type=_FILE, required=True, help="The manifest (TSV with a header) of a suite's run.")
@option("--output", type=_FILE, required=True, help="The JSON file to write.")
@option("--mode", default="baseline", metavar="NAME", help="Whose thresholds hold. Default: baseline.")
@option("--run-id", metavar="TEXT", help="Name of the run. Default: that of the manifest's directory.")
@option("--run-dir", metavar="PATH", help="Directory of the run. Default: the manifest's.")
@option("--started-at", metavar="TIME", default="", help="When the run began, word for word.")
@option("--finished-at", metavar="TIME", default="", help="When the run ended, word for word.")
@option("--expect", multiple=True, metavar="ID[,ID]...", callback=_names, help="Scenarios that have to be there.")
@option("--enforce", is_flag=True, help="Exit with 1 unless everything passed.")
def summarize(
    manifest: Path,
    output: Path,
    mode: str,
    run_id: str | None,
    run_dir: str | None,
    started_at: str,
    finished_at: str,
    expect: tuple[str, ...],
    enforce: bool,
) -> int:
    """Judge the manifest of a finished run, whoever made it, and write the verdict as JSON.

    Exit codes and the streamer's last PIPELINE_METRICS, LATENCY_METRICS, FAULT_COUNTERS and RTP_METRICS lines
    decide; what the manifest itself says of a scenario's status does not. A counter that is not there, or is no
    number, is a violation. Relative paths of logs are looked for beside the manifest, in the run directory and here.

    Exit codes: 0 once the file is written (with --enforce: 1 unless everything passed), 3 when it cannot be.
    """
    from swarmrig.cli.suite_actions import summarize_manifest
    from swarmrig.suites.summary import RunFacts

    home = manifest.absolute().parent
    facts = RunFacts(
        home.name if run_id is None else run_id, str(home) if run_dir is None else run_dir, started_at, finished_at
    )
    recommended = summarize_manifest(manifest, output, mode, facts, expect)
    return recommended if enforce else 0
