"""Pictures: what they show, that they are well-formed, that places keep apart."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest

from swarmrig.cli.picture import draw, graph_of
from swarmrig.cli.picture.svg import svg
from swarmrig.cli.picture.text import mermaid
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import LinkSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.reports.picture.graph import Graph, Place, Wire
from swarmrig.reports.picture.layout import BOX_HEIGHT, BOX_WIDTH, layout

SVG = "{http://www.w3.org/2000/svg}"


def scenario(topology: Topology, count: int = 4, **network) -> Scenario:
    nodes = [NodeSpec("coord", 0, role=Role.COORDINATOR)]
    nodes += [NodeSpec(f"s{number}", number) for number in range(1, count)]
    spec = NetworkSpec(topology=topology, **network)
    return Scenario("rooms", 10**10, 0, TimeMode.REAL, spec, tuple(nodes))


def boxes_overlap(a, b) -> bool:
    return abs(a[0] - b[0]) < BOX_WIDTH and abs(a[1] - b[1]) < BOX_HEIGHT


CUSTOM = tuple(LinkSpec(pair, Impairment()) for pair in [("coord", "s1"), ("s1", "s2"), ("s2", "s3"), ("s3", "s1")])
CASES = [
    (Topology.STAR, 2, {}), (Topology.STAR, 4, {"hub": "s1"}), (Topology.STAR, 40, {}), (Topology.MESH, 1, {}),
    (Topology.MESH, 6, {}), (Topology.LINE, 1, {}), (Topology.LINE, 2, {}), (Topology.LINE, 5, {}),
    (Topology.STAR, 15, {}), (Topology.MESH, 16, {}), (Topology.STAR, 120, {}),
    (Topology.RING, 3, {}), (Topology.RING, 24, {}), (Topology.CUSTOM, 4, {"links": CUSTOM}),
]  # fmt: skip


@pytest.mark.parametrize(("topology", "count", "network"), CASES)
def test_every_place_is_drawn_once_and_apart(topology, count, network):
    made = scenario(topology, count, **network)
    graph = graph_of(made)
    names = [place.name for place in graph.places]
    assert len(set(names)) == len(names)
    assert {node.id for node in made.nodes} | {"aggregator"} <= set(names)
    assert {end for wire in graph.wires for end in (wire.a, wire.b)} <= set(names)
    points = layout(graph)
    assert set(points) == set(names)
    for (one, a), (other, b) in itertools.combinations(points.items(), 2):
        assert not boxes_overlap(a, b), (one, other)


@pytest.mark.parametrize("count", [20, 40, 41, 80, 120])
def test_no_wire_of_a_large_star_lies_on_another(count):
    points = layout(graph_of(scenario(Topology.STAR, count)))
    turns = sorted(math.atan2(y, x) for name, (x, y) in points.items() if name != "coord")
    assert min(after - before for before, after in itertools.pairwise(turns)) > 1e-4


@pytest.mark.parametrize(("topology", "count", "network"), CASES)
def test_svg_is_well_formed_and_inside_its_frame(topology, count, network):
    root = ElementTree.fromstring(draw(scenario(topology, count, **network), "svg"))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for box in list(root.iter(f"{SVG}rect"))[1:]:
        assert left <= float(box.attrib["x"]) and float(box.attrib["x"]) + BOX_WIDTH <= left + width
        assert top <= float(box.attrib["y"]) and float(box.attrib["y"]) + BOX_HEIGHT <= top + height
    assert "href" not in ElementTree.tostring(root, encoding="unicode")


def test_ring_in_text_shows_every_link_and_address():
    text = draw(scenario(Topology.RING, 3), "text")
    assert text.splitlines()[0] == "rooms: ring of 3 nodes"
    links = {tuple(line.split()[:3:2]) for line in text.splitlines() if " --- " in line}
    assert {frozenset(link) for link in links} == {
        frozenset(pair) for pair in [("coord", "s1"), ("s1", "s2"), ("s2", "coord"), ("aggregator", "coord")]
    }
    assert "5ms" in text
    assert "10.1.0.2/24" in text


def test_star_in_mermaid():
    lines = draw(scenario(Topology.STAR, 3), "mermaid").splitlines()
    assert lines[:4] == ["---", 'title: "rooms: star of 3 nodes"', "---", "flowchart LR"]
    assert sum("---|" in line for line in lines) == 3
    assert any(line.startswith("  n0[[") and "coord<br/>10.0.1.10/16" in line for line in lines)


def test_impairments_are_labels():
    lossy = Impairment(latency_ns=20_000_000, jitter_ns=1_000_000, loss=0.015, rate_bps=250_000, up=False)
    text = draw(scenario(Topology.STAR, 2, impairment=lossy), "text")
    assert "down, 20ms + 0..1ms, loss 1.5%, 250kbit" in text


HOSTILE = 'a"]; <script>&\x1b[2J\nend'


def test_hostile_text_cannot_leave_its_label():
    places = (Place(HOSTILE, "sensor", HOSTILE), Place("b", "switch", ""))
    graph = Graph(HOSTILE, places, (Wire("w", HOSTILE, "b", HOSTILE),))
    root = ElementTree.fromstring(svg(graph))
    assert not list(root.iter(f"{SVG}script"))
    assert "\x1b" not in svg(graph) + mermaid(graph)
    lines = mermaid(graph).splitlines()
    assert len(lines) == 4 + 2 + 1
    for line in lines[4:]:
        assert line.count('"') == 2
        assert "<script" not in line


def test_same_scenario_same_picture():
    assert draw(scenario(Topology.RING, 7), "svg") == draw(scenario(Topology.RING, 7), "svg")
