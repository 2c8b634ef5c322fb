"""`swarmrig clean`"""

from __future__ import annotations

import click

from swarmrig.cli.options import option


@click.command("clean")
@option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
def command(dry_run: bool) -> int:
    """Remove what dead runs have left behind.

    Only needed when a run and its guardian were both killed. Live runs are never touched.
    """
    from swarmrig.cli.cleaning import clean_up

    return clean_up(dry_run=dry_run)
