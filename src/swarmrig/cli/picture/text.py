"""Text and Mermaid pictures."""

from __future__ import annotations

import json

from swarmrig.cli.output import harmless
from swarmrig.reports.picture.graph import Graph

_SHAPES = {"switch": ("{{", "}}"), "router": ("{{", "}}"), "service": ("([", "])"), "coordinator": ("[[", "]]")}
_ENTITIES = str.maketrans({'"': "#quot;", "<": "#lt;", ">": "#gt;", "\n": " "})


def text(graph: Graph) -> str:
    """Places with their addresses, then one line per link."""
    width = max(len(place.name) for place in graph.places)
    lines = [harmless(graph.title), ""]
    lines += [f"  {place.name:<{width}}  {place.kind:<11}  {place.note}" for place in graph.places]
    lines.append("")
    lines += [f"  {wire.a:<{width}} --- {wire.b:<{width}}  {wire.note}" for wire in graph.wires]
    return "\n".join(line.rstrip() for line in lines)


def mermaid(graph: Graph) -> str:
    """A flowchart as Mermaid reads it; places get ids of their own, so no name can break the syntax."""
    ids = {place.name: f"n{index}" for index, place in enumerate(graph.places)}
    lines = ["---", f"title: {json.dumps(graph.title)}", "---", "flowchart LR"]
    for place in graph.places:
        left, right = _SHAPES.get(place.kind, ("[", "]"))
        lines.append(f"  {ids[place.name]}{left}{_quoted(place.name, place.note)}{right}")
    lines += [f"  {ids[wire.a]} ---|{_quoted(wire.note)}| {ids[wire.b]}" for wire in graph.wires]
    return "\n".join(lines)


def _quoted(*lines: str) -> str:
    """A label of one or more lines. Mermaid reads `#name;` as a character, and labels as HTML."""
    return '"' + "<br/>".join(harmless(line).translate(_ENTITIES) for line in lines) + '"'
