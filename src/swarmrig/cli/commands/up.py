"""`swarmrig up`"""

from __future__ import annotations

from dataclasses import replace

import click

from swarmrig.cli.options import Choice, Manner, pause_option, run_options, scenario_options


@click.command("up")
@scenario_options
@run_options
@pause_option
def command(choice: Choice, manner: Manner) -> int:
    """Run until Ctrl-C, then judge.

    Like `run`, but neither the duration nor the checks end it: for looking around in a living swarm.
    """
    from swarmrig.cli.session import run_choice

    return run_choice(choice, replace(manner, until_interrupted=True))
