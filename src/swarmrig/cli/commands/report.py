"""`swarmrig report`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import option


@click.command("report")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@option("--open", "show", is_flag=True, help="Open it in a browser.")
def command(run: Path, show: bool) -> None:
    """Make report.html of a run, or of a campaign, to look at in a browser.

    RUN is the directory of a run, finished or broken off. The page needs no server and no network. It has the verdict
    with its reasons, the network over time, a timeline of nodes, faults and checks, plots of rate, loss and latency,
    consoles with a search, decoded frames, and the command that repeats the run. Every piece of evidence leads to its
    line or frame.

    Of a campaign's directory it makes the page of the campaign: verdict, matrix, failures by what failed, retries,
    flaky runs, workers, and the command that repeats each run.

    `swarmrig run --report` makes it at the end of a run, `swarmrig campaign run` always does.
    """
    from swarmrig.campaigns.directory import JOURNAL
    from swarmrig.campaigns.results import FILE
    from swarmrig.cli.output import say

    if run.name == FILE or any((run / name).exists() for name in (FILE, JOURNAL)):
        from swarmrig.campaigns.page.render import write_page
    else:
        from swarmrig.reports.page.render import write_page
    page = write_page(run)
    say(f"report: {page}")
    if show:
        click.launch(str(page))
