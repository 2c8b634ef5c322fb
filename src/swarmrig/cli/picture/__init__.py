"""Pictures of a scenario's network: `draw` makes text, Mermaid or SVG of it."""

from __future__ import annotations

from swarmrig.cli.bare_plan import bare_network
from swarmrig.cli.picture.graph import network_graph
from swarmrig.model.scenario import Scenario


def draw(scenario: Scenario, form: str) -> str:
    """The network of `scenario` as `text`, `mermaid` or `svg`."""
    graph = network_graph(scenario, bare_network(scenario))
    if form == "svg":
        from swarmrig.cli.picture.svg import svg

        return svg(graph)
    if form == "mermaid":
        from swarmrig.cli.picture.text import mermaid

        return mermaid(graph)
    from swarmrig.cli.picture.text import text

    return text(graph)
