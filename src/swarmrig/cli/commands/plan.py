"""`swarmrig plan`"""

from __future__ import annotations

import click

from swarmrig.cli.options import Choice, json_option, scenario_options


@click.command("plan")
@scenario_options
@json_option
def command(choice: Choice, as_json: bool) -> None:
    """Print exactly what `run` would launch; launch nothing.

    Shows the nodes with their addresses and commands, the network, faults, checks and warnings.
    """
    from functools import partial

    import anyio

    from swarmrig.cli.loading import load
    from swarmrig.cli.output import say, say_json
    from swarmrig.cli.planned import plan_json, plan_lines
    from swarmrig.plugins import Registry
    from swarmrig.runtime.plan import plan_loaded

    registry = Registry.load()
    plan = anyio.run(plan_loaded, partial(load, choice, registry), registry)
    if as_json:
        say_json(plan_json(plan))
        return
    for line in plan_lines(plan):
        say(line)
