"""Where places stand. Coordinates are in pixels, y grows downwards; equal graphs get equal layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from swarmrig.reports.picture.graph import Graph

Point = tuple[float, float]

BOX_WIDTH, BOX_HEIGHT = 170.0, 46.0
_GAP = 110.0
"""Free length of a wire, wide enough for its label."""
_ACROSS, _DOWN = BOX_WIDTH + 24, BOX_HEIGHT + 44
"""Rings are circles of a plane stretched by these: boxes on them keep apart when their centres are 1.05 apart."""
_APART, _APART_WIRED = 1.05, 1.6
_INNERMOST = 1.75
_ON_ONE_RING = 14
_GOLDEN = (math.sqrt(5) - 1) / 2


def layout(graph: Graph) -> dict[str, Point]:
    """Centres of all places: a star around its middle, on several rings when it is large, a chain as a row, anything
    else on one ring; built-in services that hang on one wire stand outside of what they belong to."""
    neighbours = graph.neighbours()
    names = [place.name for place in graph.places]
    middle = _middle(names, neighbours)
    if middle is not None:
        return {middle: (0.0, 0.0), **_rings([name for name in names if name != middle])}
    hanging = [
        place.name for place in graph.places if place.kind == "service" and len(set(neighbours[place.name])) == 1
    ]
    core = [name for name in names if name not in hanging]
    chain = _chain(core, neighbours)
    points = _row(chain) if chain else _ring(core, _radius(len(core), _APART_WIRED))
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


def _rings(names: Sequence[str]) -> dict[str, Point]:
    """The first at the top of the innermost ring, clockwise, then outwards."""
    if len(names) <= _ON_ONE_RING:
        return _ring(names, _radius(len(names), _APART))
    radii = [_INNERMOST + _APART]
    while sum(map(_room, radii)) < len(names):
        radii.append(radii[-1] + _APART)
    room, placed = sum(map(_room, radii)), 0
    points: dict[str, Point] = {}
    for number, radius in enumerate(radii):
        upto = round(len(names) * sum(map(_room, radii[: number + 1])) / room)
        points |= _ring(names[placed:upto], radius, number * _GOLDEN)
        placed = upto
    return points


def _radius(count: int, apart: float) -> float:
    """Of a ring on which so many are so far apart."""
    return max(_INNERMOST, apart / (2 * math.sin(math.pi / count)) if count > 1 else 0)


def _room(radius: float) -> int:
    return math.floor(math.pi / math.asin(_APART / (2 * radius)))


def _ring(names: Sequence[str], radius: float, beside: float = 0.0) -> dict[str, Point]:
    """Evenly, clockwise, the first at the top; or `beside` it, in steps, so that wires of several rings are apart."""
    turns = ((name, 2 * math.pi * (index + beside) / len(names)) for index, name in enumerate(names))
    return {name: (radius * _ACROSS * math.sin(turn), -radius * _DOWN * math.cos(turn)) for name, turn in turns}


def _outside(point: Point, *, below: bool) -> Point:
    x, y = point
    distance = math.hypot(x, y)
    if below or distance == 0:
        return (x, y + BOX_HEIGHT + _GAP)
    factor = (distance + BOX_WIDTH + _GAP) / distance
    return (x * factor, y * factor)
