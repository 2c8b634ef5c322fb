"""`swarmrig campaign import`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.campaign_options import history_option


@click.command("import")
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@history_option
def command(directories: tuple[Path, ...], history: Path) -> int:
    """Add campaigns to a history: finished or interrupted ones, shards too.

    What is known already is not added again, so all can be given every time. Shards are campaigns of their own, until
    the one that they were merged into is added.

    Exit codes: 0 added, 3 when one is no campaign (then none was), or the history cannot be written.
    """
    from swarmrig.cli.campaign_history import import_directories

    return import_directories(directories, history)
