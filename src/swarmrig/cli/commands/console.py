"""`swarmrig console`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import option


@click.command("console")
@click.argument("run", metavar="RUN")
@click.argument("node", metavar="NODE")
@option("--last", type=click.IntRange(0), metavar="N", help="Begin with the last N lines. Default: with the first.")
@option("--type", "lines", multiple=True, metavar="TEXT", help="Type this line first; can be repeated.")
@option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the runs are. Default: runs.",
)
def command(run: str, node: str, last: int | None, lines: tuple[str, ...], output_dir: Path) -> int:
    """Show what a node of a run says, and type to it while it lives.

    RUN is as for `watch`: a directory, the beginning of a name or id, or `last`. Of a run that is over, the whole
    console is shown. While it lives, each line that you enter is typed on the console; Ctrl-D or Ctrl-C leave
    it, and the run goes on. What steers a terminal is shown as text.

    What you type makes the run a different one: it gets a warning, and no digest.

    Exit codes: 0 the console has ended, 3 there is no such node or run, 130 when you leave with Ctrl-C.
    """
    from swarmrig.cli.attaching import ConsoleChoice, show_console

    return show_console(ConsoleChoice(run, node, last, lines, output_dir))
