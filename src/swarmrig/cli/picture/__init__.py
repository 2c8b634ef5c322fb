"""Pictures of a scenario's network: `draw` makes text, Mermaid or SVG of it."""

from __future__ import annotations

from swarmrig.api import NodePlan
from swarmrig.cli.picture.graph import network_graph
from swarmrig.model.scenario import Scenario
from swarmrig.net.topology import plan_network


def draw(scenario: Scenario, form: str) -> str:
    """The network of `scenario` as `text`, `mermaid` or `svg`.

    It is the network that a run would have; only the commands of the nodes, which need this host, are left out.
    """
    network = plan_network(scenario, [NodePlan(spec, command=()) for spec in scenario.nodes])
    graph = network_graph(scenario, network)
    if form == "svg":
        from swarmrig.cli.picture.svg import svg

        return svg(graph)
    if form == "mermaid":
        from swarmrig.cli.picture.text import mermaid

        return mermaid(graph)
    from swarmrig.cli.picture.text import text

    return text(graph)
