"""`swarmrig suite run|validate|summarize`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import json_option, option

_FILE = click.Path(path_type=Path, dir_okay=False)


def _names(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """`a,b` and repeated options alike."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


@click.group("suite")
def command() -> None:
    """Run fault suites, judge them against thresholds, compare their numbers."""


def _pairs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [value for value, (name, sign, _) in zip(values, pairs, strict=True) if not (name and sign)]:
        raise click.BadParameter(f"expected NAME=VALUE, got {wrong[0]!r}")
    return {name.strip(): value for name, _, value in pairs}


@command.command("run")
@click.argument("file", metavar="[FILE]", type=_FILE, required=False)
@option("--mode", metavar="NAME", help="Whose variables and thresholds hold. Default: the file's first.")
@option("--repetitions", type=click.IntRange(1, 10_000), metavar="N", help="Runs of each scenario.")
@option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Scenarios at a time.")
@option("--with", "variables", multiple=True, metavar="NAME=VALUE", callback=_pairs, help="Change one variable.")
@option("--resume", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Go on with this run.")
@option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the run directory is made. Default: runs.",
)
@json_option
def run(
    file: Path | None,
    mode: str | None,
    repetitions: int | None,
    jobs: int | None,
    variables: dict[str, str],
    resume: Path | None,
    output_dir: Path,
    as_json: bool,
) -> int:
    """Run a suite file: every scenario, as often as wanted, judged by the thresholds of a mode.

    Leaves a directory with every log, the manifest, summary.json, statistics.json (percentiles over repetitions) and
    junit.xml. After Ctrl-C, or worse, `--resume DIR` runs what has not run yet, with the same file and options.

    Exit codes: 0 PASS, 2 FAIL, 3 error, 130 interrupted.
    """
    from swarmrig.cli.suite_actions import SuiteManner, go_on, run_file

    manner = SuiteManner(output_dir, mode, repetitions, jobs, variables, as_json)
    if (file is None) == (resume is None):
        raise click.UsageError("either FILE, or --resume DIR")
    if resume is not None:
        if mode or repetitions or variables:
            raise click.UsageError("--resume goes on as it was begun: no --mode, --repetitions, --with")
        return go_on(resume, manner)
    assert file is not None
    return run_file(file, manner)


@command.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)
def validate(files: tuple[Path, ...]) -> int:
    """Check suite files; print every error with its place."""
    from swarmrig.cli.suite_actions import validate_files

    return validate_files(files)


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
