"""The network as the page draws it: boxes and lines with names, which the script colours by time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from operator import itemgetter

from swarmrig.reports.page.material import Material
from swarmrig.reports.picture.graph import Place, Wire, network_graph
from swarmrig.reports.picture.layout import BOX_HEIGHT, BOX_WIDTH, Point, layout

_MARGIN = 12.0
_FEW = 3
"""Wires that have room for words."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """In pixels; y grows downwards."""

    left: float
    top: float
    width: float
    height: float
    box: tuple[float, float]
    places: tuple[tuple[Place, Point], ...]
    wires: tuple[tuple[Wire, Point, Point], ...]
    usual: str
    """What most links do to frames; said once, not at each of them. "" when links are few, or differ."""


def drawing(material: Material) -> Drawing | None:
    """None when nothing is known of the network."""
    network = material.network
    if network is None or not network.devices:
        return None
    nodes = (material.results or {}).get("nodes", ())
    known = {str(node["id"]): str(node.get("role", "node")) for node in nodes}
    roles = {node: known.get(node, "node") for node in material.nodes}
    graph = network_graph(material.name, roles, network)
    points = layout(graph)
    xs, ys = [x for x, _ in points.values()], [y for _, y in points.values()]
    left, top = min(xs) - BOX_WIDTH / 2 - _MARGIN, min(ys) - BOX_HEIGHT / 2 - _MARGIN
    return Drawing(
        left,
        top,
        max(xs) + BOX_WIDTH / 2 + _MARGIN - left,
        max(ys) + BOX_HEIGHT / 2 + _MARGIN - top,
        (BOX_WIDTH, BOX_HEIGHT),
        tuple((place, points[place.name]) for place in graph.places),
        tuple((wire, points[wire.a], points[wire.b]) for wire in graph.wires),
        _usual([wire.note for wire in graph.wires]),
    )


def _usual(notes: list[str]) -> str:
    note, count = max(Counter(notes).items(), key=itemgetter(1), default=("", 0))
    return note if count > max(_FEW, len(notes) / 2) else ""
