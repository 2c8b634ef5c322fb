"""`swarmrig runs list|show|prune`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import duration_of, json_option, option
from swarmrig.model.verdict import Outcome


@click.group("runs")
def command() -> None:
    """List, show and remove the directories of former runs."""


_WORDS = click.Choice([*(outcome.value for outcome in Outcome), "unfinished"], case_sensitive=False)
_where = option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the runs are. Default: runs.",
)


@command.command("list")
@_where
@json_option
def list_runs(output_dir: Path, as_json: bool) -> None:
    """List runs, sweeps, suites, campaigns and searches, the latest first.

    A line each: verdict, kind, when, how large, directory.
    `live` goes on; `unfinished` has ended without a verdict: it was killed, or its disk was full.
    """
    from swarmrig.cli.shelf_actions import list_shelf

    list_shelf(output_dir, as_json=as_json)


@command.command("show")
@click.argument("run", metavar="[RUN]", default="last")
@_where
@json_option
def show(run: str, output_dir: Path, as_json: bool) -> int:
    """Show how a run went: verdict, checks, evidence.

    RUN is a directory, the beginning of a directory's name or of a run's id, or `last`, which is the default.

    Exit codes: 0 shown, 3 there is no such run. The verdict does not count.
    """
    from swarmrig.cli.shelf_actions import show_run

    return show_run(run, output_dir, as_json=as_json)


@command.command("prune")
@option("--keep", type=click.IntRange(0), metavar="N", default=0, help="Keep the N latest, whatever they are.")
@option("--older-than", "older_than_ns", metavar="TIME", callback=duration_of, help="Only what is older: 90m, 36h.")
@option("--verdict", "verdicts", multiple=True, type=_WORDS, metavar="WORD", help="Only these: PASS, unfinished, ...")
@option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@_where
@json_option
def prune(
    keep: int, older_than_ns: int | None, verdicts: tuple[str, ...], dry_run: bool, output_dir: Path, as_json: bool
) -> int:
    """Remove the directories of former runs.

    All that meet every condition that is given; at least one of --keep, --older-than and --verdict has to be. What no
    run has made stays, and so does a run that goes on, or that ended without a verdict within the last minute.

    Exit codes: 0 removed, 3 something could not be removed.
    """
    from swarmrig.cli.shelf_actions import prune_shelf
    from swarmrig.replay.shelf import Pruning

    if not keep and older_than_ns is None and not verdicts:
        raise click.UsageError("say which: --keep N, --older-than TIME, --verdict WORD")
    pruning = Pruning(keep, (older_than_ns or 0) / 1e9, frozenset(verdicts))
    return prune_shelf(output_dir, pruning, dry_run=dry_run, as_json=as_json)
