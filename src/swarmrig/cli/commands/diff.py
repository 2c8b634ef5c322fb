"""`swarmrig diff`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import anyway_option, json_option


@click.command("diff")
@click.argument("left", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("right", metavar="RUN", type=click.Path(path_type=Path))
@anyway_option
@json_option
def command(left: Path, right: Path, anyway: bool, as_json: bool) -> int:
    """Compare two finished runs; show where they first differ.

    RUN is the directory of a run in virtual time. Compared are the event log, the captures, the consoles and the
    results. The first difference in time is shown from both sides, with what came before it.

    Exit codes: 0 equal, 2 different, 3 they cannot be compared.
    """
    from swarmrig.cli.replaying import diff

    return diff(left, right, anyway=anyway, as_json=as_json)
