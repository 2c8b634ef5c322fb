"""`swarmrig campaign plan`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.campaign_options import Selection, selection_options
from swarmrig.cli.options import json_option


@click.command("plan")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@selection_options
@json_option
def command(file: Path, selection: Selection, as_json: bool) -> int:
    """List the runs of a campaign file; launch nothing.

    Everything is checked as `campaign run` would: every scenario is loaded and planned with every combination of
    the matrix, and all that is wrong is told together. Says what each run needs of a machine.

    Exit codes: 0, or 3 when something is wrong.
    """
    from swarmrig.cli.campaign_planned import tell_plan

    return tell_plan(file, selection, as_json=as_json)
