"""Topologies, hubs and links that fit the nodes, and those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import NetworkSpec, Topology
from swarmrig.scenario.wiring import topology_pairs


def network(load: Any, text: str, nodes: str = "a: , b: , c: , d: ") -> NetworkSpec:
    found: NetworkSpec = load(f"swarmrig: 1\nnodes: {{{nodes}}}\nnetwork: {text}\n").network
    return found


def problem(load: Any, text: str, nodes: str = "a: , b: , c: , d: ") -> str:
    with pytest.raises(ScenarioError) as caught:
        network(load, text, nodes)
    [found] = map(str, caught.value.problems)
    return found


@pytest.mark.parametrize(
    ("nodes", "hub"),
    [
        ("a: , b: {role: gateway}, c: {role: coordinator}, d: {role: coordinator}", "c"),
        ("a: , b: {is_gateway: true}, c: ", "b"),
        ("a: , b: ", "a"),
    ],
)
def test_a_star_has_a_hub(load: Any, nodes: str, hub: str) -> None:
    assert network(load, "{topology: star}", nodes).hub == hub
    assert network(load, "{topology: star, hub: b}", nodes).hub == "b"
    assert network(load, "{topology: mesh}", nodes).hub is None


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("{topology: star, hub: a, links: [{between: [a, b]}, {between: [c, a]}]}", "a: , b: , c: "),
        ("{topology: mesh, links: [{between: [lan, b]}, {between: [a, lan]}]}", "a: , b: "),
        ("{topology: line, links: [{between: [b, a]}, {between: [b, c]}]}", "a: , b: , c: "),
        ("{topology: ring, links: [{between: [c, a]}]}", "a: , b: , c: "),
        ("{topology: custom, links: [{between: [a, b]}, {between: [b, c]}, {between: [a, c]}]}", "a: , b: , c: "),
        ("{topology: star, links: [{between: [a, aggregator], loss: 1%}]}", "a: , b: "),
        ("{topology: star}", "a: "),
        ("{topology: mesh}", "a: "),
    ],
)
def test_links_of_the_topology_can_be_named(load: Any, text: str, nodes: str) -> None:
    assert network(load, text, nodes).topology in Topology


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("{topology: start}", "3:21", "star, mesh, line, ring, custom, seen 'start' (did you mean 'star'?)"),
        ("{topology: star, hub: x}", "3:32", "hub: no node is called 'x'"),
        ("{topology: mesh, hub: a}", "3:32", "hub: a mesh has no hub"),
        ("{topology: ring, hub: a}", "3:32", "hub: a ring has no hub"),
        ("{topology: star, links: [{between: [b, c]}]}", "3:35", "and 'c' (in a star every link has the hub a"),
        ("{topology: mesh, links: [{between: [b, c]}]}", "3:35", "in a mesh every link has the switch `lan`"),
        ("{topology: line, links: [{between: [a, c]}]}", "3:35", "in a line each node is linked to the next"),
        ("{topology: line, links: [{between: [a, d]}]}", "3:35", "in a line"),
        ("{topology: ring, links: [{between: [a, c]}]}", "3:35", "in a ring"),
        ("{topology: ring, links: [{between: [a, lan]}]}", "3:35", "between: no node is called 'lan'"),
        ("{topology: line, links: [{between: [a, bb]}]}", "3:35", "no node is called 'bb' (did you mean 'b'?)"),
        ("{topology: line, links: [{between: [a, a]}]}", "3:35", "joins a with itself"),
        ("{topology: line, links: [{between: [a, b]}, {between: [b, a]}]}", "3:54", "second time (first: t.yml:3:35)"),
        ("{topology: line, links: [{between: [a]}]}", "3:45", "between: expected at least 2 items, seen a list"),
        ("{topology: line, links: [{between: [a, b, c]}]}", "3:45", "between: "),
        ("{topology: line, links: [{between: a-b}]}", "3:45", "between: expected a list, seen 'a-b'"),
        ("{topology: line, links: [{loss: 1%}]}", "3:35", "missing key 'between'"),
        ("{topology: line, links: [a]}", "3:35", "expected a mapping, seen 'a'"),
        ("{topology: line, links: {a: b}}", "3:34", "links: expected a list, seen a mapping"),
        ("{topology: custom, links: [{between: [a, b]}, {between: [c, d]}]}", "3:29", "no way leads from a to c, d"),
        ("{topology: custom}", "3:10", "links: no way leads from a to b, c, d"),
        ("{link: {latency: fast}}", "3:27", "latency: expected a duration"),
        ("{link: {loss: 101%}}", "3:24", "loss: a share lies between 0 and 1"),
        ("{link: {loss: -1}}", "3:24", "loss: expected a share"),
        ("{link: {rate: 0}}", "3:24", "rate: a rate must be greater than zero"),
        ("{link: {queue: 1e300}}", "3:25", "queue: expected a size"),
        ("{link: {burst: {to_bad: 1%}}}", "3:25", "missing key 'to_good'"),
        ("{link: {burst: 5%}}", "3:25", "burst: expected a mapping, seen '5%'"),
        ("{link: {latencie: 5ms}}", "3:18", "unknown key 'latencie' (did you mean 'latency'?)"),
        ("{lnk: {}}", "3:11", "unknown key 'lnk' (did you mean 'link'?)"),
        ("{mode: tap}", "3:17", "mode: expected one of fabric, bridge, user"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(load: Any, text: str, place: str, expected: str) -> None:
    found = problem(load, text)
    assert found.startswith(f"t.yml:{place}: ")
    assert expected in found


@pytest.mark.parametrize(("topology", "nodes", "least"), [("line", "a: ", 2), ("ring", "a: , b: ", 3)])
def test_small_swarms_have_no_such_shape(load: Any, topology: str, nodes: str, least: int) -> None:
    assert f"a {topology} needs at least {least} nodes" in problem(load, f"{{topology: {topology}}}", nodes)


def test_a_broken_link_makes_no_node_look_unconnected(load: Any) -> None:
    text = "{topology: custom, links: [{between: [a, b]}, {between: [b, x]}, {between: [c, d]}]}"
    assert "no node is called 'x'" in problem(load, text)


def test_what_a_link_does_not_say_comes_from_all_links(load: Any) -> None:
    found = network(load, "{topology: line, link: {loss: 1%, rate: 1Mbit}, links: [{between: [a, b], latency: 1ms}]}")
    [link] = found.links
    assert (link.impairment.loss, link.impairment.rate_bps, link.impairment.latency_ns) == (0.01, 10**6, 10**6)
    assert found.impairment.latency_ns == 5_000_000


def test_the_pairs_of_each_topology() -> None:
    ids = ["a", "b", "c"]
    assert topology_pairs(Topology.STAR, "b", ids) == {frozenset("ab"), frozenset("bc")}
    assert topology_pairs(Topology.LINE, None, ids) == {frozenset("ab"), frozenset("bc")}
    assert topology_pairs(Topology.RING, None, ids) == {frozenset("ab"), frozenset("bc"), frozenset("ac")}
    assert topology_pairs(Topology.RING, None, ["a", "b"]) == {frozenset("ab")}
    assert frozenset(("lan", "a")) in topology_pairs(Topology.MESH, None, ids)
