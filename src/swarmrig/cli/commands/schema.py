"""`swarmrig schema`"""

from __future__ import annotations

import click

from swarmrig.cli.formats import FORMATS
from swarmrig.cli.options import option


@click.command("schema")
@click.argument("which", type=click.Choice(tuple(FORMATS)), default="scenario", metavar=f"[{'|'.join(FORMATS)}]")
@option("--markdown", is_flag=True, help="Print the reference page of its keys instead.")
def command(which: str, markdown: bool) -> None:
    """Print the JSON Schema of scenario files, and of every other format.

    What is said of scenario files covers the nodes, faults and checks that are installed, plugins included.
    """
    from swarmrig.cli.formats import format_schema
    from swarmrig.cli.output import say, say_json
    from swarmrig.plugins import Registry

    registry = Registry.load()
    if markdown:
        from swarmrig.cli.reference_pages import format_reference

        say(format_reference(which, registry).rstrip("\n"))
    else:
        say_json(format_schema(which, registry))
