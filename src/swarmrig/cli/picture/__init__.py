"""Pictures of a scenario's network: `draw` makes text, Mermaid or SVG of it."""

from __future__ import annotations

from swarmrig.cli.bare_plan import bare_network
from swarmrig.cli.output import counted
from swarmrig.model.scenario import Scenario
from swarmrig.reports.picture.graph import Graph, network_graph


def draw(scenario: Scenario, form: str) -> str:
    """The network of `scenario` as `text`, `mermaid` or `svg`."""
    graph = graph_of(scenario)
    if form == "svg":
        from swarmrig.cli.picture.svg import svg

        return svg(graph)
    if form == "mermaid":
        from swarmrig.cli.picture.text import mermaid

        return mermaid(graph)
    from swarmrig.cli.picture.text import text

    return text(graph)


def graph_of(scenario: Scenario) -> Graph:
    """The network that a run of the scenario would have."""
    title = f"{scenario.name}: {scenario.network.topology.value} of {counted(len(scenario.nodes), 'node')}"
    roles = {node.id: node.role.value for node in scenario.nodes}
    return network_graph(title, roles, bare_network(scenario))
