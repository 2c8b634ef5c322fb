"""`swarmrig up`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import Choice, run_options, scenario_options
from swarmrig.model.units import NS_PER_S


@click.command("up")
@scenario_options
@run_options
def command(
    choice: Choice, output_dir: Path, strict: bool, hang_timeout_ns: int, skip_build: bool, as_json: bool
) -> int:
    """Run until Ctrl-C, then judge.

    Like `run`, but neither the duration nor the checks end it: for looking around in a living swarm.
    """
    from swarmrig.cli.session import Manner, run_choice

    manner = Manner(
        output_dir,
        as_json=as_json,
        strict=strict,
        hang_timeout_s=hang_timeout_ns / NS_PER_S,
        skip_build=skip_build,
        until_interrupted=True,
    )
    return run_choice(choice, manner)
