"""`swarmrig suite run|validate|summarize|compare|latency`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import confidence_option, json_option, option, tolerance_option

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
    from swarmrig.cli.suite_session import SuiteManner, go_on, run_file

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
    from swarmrig.cli.suite_session import validate_files

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
@option("--suite", "file", type=_FILE, help="Judge by this suite file, in place of the media pipeline's three faults.")
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
    file: Path | None,
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
    recommended = summarize_manifest(manifest, output, mode, facts, expect, file)
    return recommended if enforce else 0


@command.command("compare")
@click.argument("first", metavar="BEFORE", type=click.Path(path_type=Path))
@click.argument("second", metavar="AFTER", type=click.Path(path_type=Path))
@confidence_option
@tolerance_option
@json_option
def compare(first: Path, second: Path, confidence: float, tolerance: float, as_json: bool) -> int:
    """Compare two runs of a suite (directories, or their summary.json): what became worse, beyond the noise.

    Counters with thresholds are compared over the repetitions of each scenario. A regression is a shift to the
    worse that is larger than the tolerance and, with the confidence asked for, not by chance; what cannot be said
    that surely is UNCLEAR. Four repetitions on each side are the fewest that 95% can be said of.

    Exit codes: 0 no regression, 1 something is unclear, 2 regression.
    """
    from swarmrig.cli.suite_actions import tell_comparison
    from swarmrig.suites.compare import Judging

    return tell_comparison(first, second, Judging(confidence, tolerance), as_json=as_json)


def _field_pairs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`a=b` as (a, b), `a` as (a, a)."""
    pairs = [value.partition("=") for value in values]
    return tuple((first.strip(), (second or first).strip()) for first, _, second in pairs)


@command.command("latency")
@click.argument("first", metavar="CAPTURE", type=_FILE)
@click.argument("second", metavar="[CAPTURE]", type=_FILE, required=False)
@option("--match", multiple=True, metavar="FIELD[=FIELD]", callback=_field_pairs, help="Fields that are equal.")
@option("--from", "first_filter", metavar="FILTER", help="Which frames begin a measurement. Default: all.")
@option("--to", "second_filter", metavar="FILTER", help="Which frames end one. Default: all.")
@json_option
def latency(
    first: Path,
    second: Path | None,
    match: tuple[tuple[str, str], ...],
    first_filter: str | None,
    second_filter: str | None,
    as_json: bool,
) -> int:
    """Measure latency in captures (pcapng): between two places, or from a frame to its answer.

    Without --match, the same RTP packet is looked for in both captures (ssrc, sequence number, timestamp). With
    `--match csi.node --match csi.seq` it is a CSI frame, with `--match rtp.ssrc=rtcp.ssrc --match rtp.seq=rtcp.seq`
    and one capture the report on a packet. Fields are those of filters, and rtp.*, rtcp.*.

    Exit codes: 0 when something was measured, 2 when no frame found its other half.
    """
    from swarmrig.cli.suite_actions import tell_latency

    return tell_latency(first, second, match, (first_filter, second_filter), as_json=as_json)
