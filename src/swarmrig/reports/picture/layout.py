"""Where places stand. Coordinates are in pixels, y grows downwards; equal graphs get equal layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from swarmrig.reports.picture.graph import Graph

Point = tuple[float, float]

BOX_WIDTH, BOX_HEIGHT = 170.0, 46.0
_GAP = 110.0
"""Free length of a wire, wide enough for its label."""


def layout(graph: Graph) -> dict[str, Point]:
    """Centres of all places: a star around its middle, a chain as a row, anything else on a circle; built-in
    services that hang on one wire stand outside of what they belong to."""
    neighbours = graph.neighbours()
    names = [place.name for place in graph.places]
    middle = _middle(names, neighbours)
    if middle is not None:
        return {middle: (0.0, 0.0), **_circle([name for name in names if name != middle])}
    hanging = [
        place.name for place in graph.places if place.kind == "service" and len(set(neighbours[place.name])) == 1
    ]
    core = [name for name in names if name not in hanging]
    chain = _chain(core, neighbours)
    points = _row(chain) if chain else _circle(core)
    for name in hanging:
        points[name] = _outside(points[neighbours[name][0]], below=bool(chain))
    return points


def _middle(names: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> str | None:
    """The place that every wire ends at, None if there is none."""
    for name in names:
        others = [other for other in names if other != name]
        if others and all(set(neighbours[other]) == {name} for other in others):
            return name
    return None


def _chain(names: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> list[str]:
    """The places in the order of a line through all of them; empty when they are no line."""
    inside = {name: [other for other in dict.fromkeys(neighbours[name]) if other in names] for name in names}
    ends = [name for name in names if len(inside[name]) == 1]
    if len(ends) != 2 or any(len(others) > 2 for others in inside.values()):
        return []
    chain = [ends[0]]
    while len(chain) < len(names):
        following = [other for other in inside[chain[-1]] if other not in chain]
        if not following:
            return []
        chain.append(following[0])
    return chain


def _row(names: Sequence[str]) -> dict[str, Point]:
    return {name: (index * (BOX_WIDTH + _GAP), 0.0) for index, name in enumerate(names)}


def _circle(names: Sequence[str]) -> dict[str, Point]:
    """Evenly on a circle, the first at the top, clockwise; wide enough that boxes keep apart."""
    count = len(names)
    if count == 1:
        return {names[0]: (0.0, -(BOX_HEIGHT + _GAP))}
    radius = max(BOX_WIDTH + _GAP / 2, count * (BOX_WIDTH + 20) / (2 * math.pi))
    turns = ((name, 2 * math.pi * index / count) for index, name in enumerate(names))
    return {name: (radius * math.sin(turn), -radius * math.cos(turn)) for name, turn in turns}


def _outside(point: Point, *, below: bool) -> Point:
    x, y = point
    distance = math.hypot(x, y)
    if below or distance == 0:
        return (x, y + BOX_HEIGHT + _GAP)
    factor = (distance + BOX_WIDTH + _GAP) / distance
    return (x * factor, y * factor)
