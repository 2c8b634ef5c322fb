"""`swarmrig show`"""

from __future__ import annotations

import click

from swarmrig.cli.options import Choice, scenario_options


@click.command("show")
@scenario_options
def command(choice: Choice) -> None:
    """Print a scenario as it is understood, all defaults filled in.

    Whatever dialect the file is in, this is the native format: redirect it to start a file of your own.
    """
    from swarmrig.cli.loading import load
    from swarmrig.cli.output import say
    from swarmrig.plugins import Registry
    from swarmrig.scenario.resolved import dump_scenario

    say(dump_scenario(load(choice, Registry.load())).rstrip("\n"))
