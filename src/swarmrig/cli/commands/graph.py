"""`swarmrig graph`"""

from __future__ import annotations

import click

from swarmrig.cli.options import Choice, option, scenario_options


@click.command("graph")
@scenario_options
@option("--format", "form", type=click.Choice(["text", "mermaid", "svg"]), default="text", help="Default: text.")
def command(choice: Choice, form: str) -> None:
    """Draw the network of a scenario as text, Mermaid or SVG.

    Needs no emulator: the drawing is of the network plan, with addresses and what each link does to frames.
    """
    from swarmrig.cli.loading import load
    from swarmrig.cli.output import say
    from swarmrig.cli.picture import draw
    from swarmrig.plugins import Registry

    say(draw(load(choice, Registry.load()), form))
