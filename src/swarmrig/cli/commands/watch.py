"""`swarmrig watch`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import json_option, option


@click.command("watch")
@click.argument("run", metavar="[RUN]", default="last")
@option("--release", is_flag=True, help="Let a run go on that --pause-on-failure keeps frozen; do not watch it.")
@option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the runs are. Default: runs.",
)
@json_option
def command(run: str, release: bool, output_dir: Path, as_json: bool) -> int:
    """Watch a run in progress from another terminal.

    Shows what `swarmrig run` shows: a live picture on a terminal, lines elsewhere, JSON lines with --json. RUN is
    its directory, the beginning of its name or id, or `last`, which is the default. Only the user who runs
    it can watch it; the run waits for nobody who watches, and goes on when they leave (Ctrl-C).

    Exit codes: that of the run once it is over, 3 when there is nothing to watch, 130 when you leave.
    """
    from swarmrig.cli.attaching import release_run, watch_run

    return release_run(run, output_dir) if release else watch_run(run, output_dir, as_json=as_json)
