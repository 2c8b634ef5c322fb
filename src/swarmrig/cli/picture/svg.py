"""SVG pictures: one file without references to anything outside, readable without a style sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from swarmrig.cli.output import harmless
from swarmrig.reports.picture.graph import Graph, Place, Wire
from swarmrig.reports.picture.layout import BOX_HEIGHT, BOX_WIDTH, Point, layout

_MARGIN = 40.0
_TITLE_HEIGHT = 30.0
_FILLS = {
    "coordinator": "#ffe2b8",
    "gateway": "#ffd0d0",
    "sensor": "#d6e8ff",
    "service": "#e6e6e6",
    "switch": "#dff3df",
    "router": "#dff3df",
}


def svg(graph: Graph) -> str:
    """The graph as an SVG document."""
    points = layout(graph)
    left = min(x for x, _ in points.values()) - BOX_WIDTH / 2 - _MARGIN
    top = min(y for _, y in points.values()) - BOX_HEIGHT / 2 - _MARGIN - _TITLE_HEIGHT
    width = max(x for x, _ in points.values()) + BOX_WIDTH / 2 + _MARGIN - left
    height = max(y for _, y in points.values()) + BOX_HEIGHT / 2 + _MARGIN - top
    title = _safe(graph.title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" role="img" font-family="sans-serif" text-anchor="middle">',
        f"<title>{title}</title>",
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{left + width / 2:.0f}" y="{top + _MARGIN:.0f}" font-size="16" font-weight="bold">{title}</text>',
        *(line for wire in graph.wires for line in _wire(wire, points)),
        *(line for place in graph.places for line in _place(place, points[place.name])),
        "</svg>",
    ]
    return "\n".join(lines)


def _wire(wire: Wire, points: Mapping[str, Point]) -> Iterator[str]:
    (ax, ay), (bx, by) = points[wire.a], points[wire.b]
    x, y = (ax + bx) / 2, (ay + by) / 2
    yield f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="#555555" stroke-width="2"/>'
    # A white outline keeps the label readable where it crosses wires.
    yield (
        f'<text x="{x:.1f}" y="{y - 5:.1f}" font-size="11" fill="#333333" stroke="#ffffff" stroke-width="4"'
        f' paint-order="stroke">{_safe(wire.note)}<title>{_safe(wire.name)}</title></text>'
    )


def _place(place: Place, point: Point) -> Iterator[str]:
    x, y = point
    yield (
        f'<rect x="{x - BOX_WIDTH / 2:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{BOX_WIDTH:.0f}"'
        f' height="{BOX_HEIGHT:.0f}" rx="8" fill="{_FILLS[place.kind]}" stroke="#333333"/>'
    )
    yield f'<text x="{x:.1f}" y="{y - 3:.1f}" font-size="13" font-weight="bold">{_safe(place.label)}'
    yield f"<title>{_safe(place.name)}</title></text>"
    yield f'<text x="{x:.1f}" y="{y + 14:.1f}" font-size="11">{_safe(f"{place.kind} · {place.note}")}</text>'


def _safe(text: str) -> str:
    """Escaped for XML, and without the control characters that XML cannot hold."""
    return escape(harmless(text).replace("\n", " "))
