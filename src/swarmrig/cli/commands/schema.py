"""`swarmrig schema`"""

from __future__ import annotations

import click

_KINDS = ("scenario", "results", "suite", "image")


@click.command("schema")
@click.argument("which", type=click.Choice(_KINDS), default="scenario", metavar=f"[{'|'.join(_KINDS)}]")
def command(which: str) -> None:
    """Print the JSON Schema of scenario files, results, suite files or image recipes.

    The schema of scenario files covers the nodes, faults and checks that are installed, plugins included.
    """
    from swarmrig.cli.output import say_json

    if which == "results":
        from swarmrig.reports.results import schema as results_schema

        say_json(results_schema())
    elif which == "suite":
        from swarmrig.suites.native import suite_schema

        say_json(suite_schema())
    elif which == "image":
        from swarmrig.fixtures.recipe import recipe_schema

        say_json(recipe_schema())
    else:
        from swarmrig.plugins import Registry
        from swarmrig.scenario.schema import scenario_schema

        say_json(scenario_schema(Registry.load()))
