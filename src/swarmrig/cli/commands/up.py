"""`swarmrig up`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import Choice, run_options, scenario_options


@click.command("up")
@scenario_options
@run_options
def command(choice: Choice, output_dir: Path, strict: bool, skip_build: bool, as_json: bool) -> int:
    """Run until Ctrl-C, then judge.

    Like `run`, but neither the duration nor the checks end it: for looking around in a living swarm.
    """
    from swarmrig.cli.session import Manner, run_choice

    manner = Manner(output_dir, as_json=as_json, strict=strict, skip_build=skip_build, until_interrupted=True)
    return run_choice(choice, manner)
