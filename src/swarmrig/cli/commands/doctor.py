"""`swarmrig doctor`"""

from __future__ import annotations

import click

from swarmrig.cli.options import json_option


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Probe what works on this machine, with install hints.

    Exit code 0 when everything that a run of the presets needs is there, 1 otherwise.
    """
    from swarmrig.cli.examination import examine

    return examine(as_json=as_json)
