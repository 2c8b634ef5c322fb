"""`swarmrig schema`"""

from __future__ import annotations

import click


@click.command("schema")
@click.argument("which", type=click.Choice(["scenario", "results"]), default="scenario", metavar="[scenario|results]")
def command(which: str) -> None:
    """Print the JSON Schema of scenario files or of results.

    The schema of scenario files covers the nodes, faults and checks that are installed, plugins included.
    """
    from swarmrig.cli.output import say_json

    if which == "results":
        from swarmrig.reports.results import schema as results_schema

        say_json(results_schema())
    else:
        from swarmrig.plugins import Registry
        from swarmrig.scenario.schema import scenario_schema

        say_json(scenario_schema(Registry.load()))
