"""Sets of nodes that cannot talk: which links fall, which frames are stopped, and that nothing gets around it."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swarmrig.api import NodePlan
from swarmrig.model.network import Impairment, NetworkPlan
from swarmrig.model.scenario import LinkSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.partition import ADDRESSES_PER_FILTER, Barrier, barriers
from swarmrig.net.topology import links_of_site, plan_network, site_of
from swarmrig.wire.filter import compile_filter


def plan(topology: Topology, count: int = 6, links: list[tuple[int, int]] | None = None) -> NetworkPlan:
    nodes = tuple(NodeSpec(f"n{at}", at, role=Role.SENSOR if at else Role.COORDINATOR) for at in range(count))
    specs = tuple(LinkSpec((f"n{a}", f"n{b}"), Impairment()) for a, b in links or ())
    scenario = Scenario("t", 10**10, 1, TimeMode.REAL, NetworkSpec(topology, links=specs), nodes)
    return plan_network(scenario, [NodePlan(node, ()) for node in nodes])


def cut(found: list[Barrier]) -> set[str]:
    return {each.link for each in found}


def test_a_ring_falls_apart_where_the_sets_meet() -> None:
    found = barriers(plan(Topology.RING), [["n0", "n1", "n2"], ["n3", "n4", "n5"]])
    assert cut(found) == {"n2--n3", "n5--n0"}
    assert all(each.sender is None and each.sources is None and not list(each.filters()) for each in found)
    assert {each.parted("whoever", b"any frame") for each in found} == {(0, 1), (1, 0)}


def test_a_line_in_three_pieces() -> None:
    found = barriers(plan(Topology.LINE), [["n0", "n1"], ["n2"], ["n3", "n4", "n5"]])
    assert cut(found) == {"n1--n2", "n2--n3"}


def test_the_aggregator_can_be_on_the_other_side() -> None:
    found = barriers(plan(Topology.LINE, 3), [["n0", "n1", "n2"], ["aggregator"]])
    assert cut(found) == {"aggregator--n0"}


def test_a_leaf_of_a_routed_network() -> None:
    network = plan(Topology.CUSTOM, 5, [(0, 1), (1, 2), (2, 3), (1, 4)])
    assert cut(barriers(network, [["n4"], ["n0", "n1", "n2", "n3"]])) == {"n1--n4"}


def test_who_is_in_no_set_must_not_join_them() -> None:
    network = plan(Topology.LINE)
    with pytest.raises(ValueError, match=r"the sets still meet by way of n[12]: name it"):
        barriers(network, [["n0"], ["n3", "n4", "n5"]])
    assert cut(barriers(network, [["n0"], ["n1"]])) == {"n0--n1"}  # n2 and on are behind n1


@pytest.mark.parametrize("topology", [Topology.STAR, Topology.MESH])
def test_at_a_switch_each_member_hears_its_own_set_only(topology: Topology) -> None:
    network = plan(topology)
    found = barriers(network, [["n0", "n1"], ["n2", "n3"], ["aggregator"]])
    macs = {device.name: device.mac for device in network.devices}
    assert cut(found) == {network.device(name).link for name in ("n0", "n1", "n2", "n3", "aggregator")}
    for each in found:
        link = network.link(each.link)
        (member,) = {link.a, link.b} - {each.sender}
        others = {"n0": "n2 n3 aggregator", "n1": "n2 n3 aggregator", "n2": "n0 n1 aggregator",
                  "n3": "n0 n1 aggregator", "aggregator": "n0 n1 n2 n3"}[member].split()  # fmt: skip
        (text,) = each.filters()
        assert {name for name in macs if compile_filter(text).matches(frame_of(macs[name]))} == set(others)
        assert {name for name in macs if each.parted(each.sender or "", frame_of(macs[name]))} == set(others)
        assert not each.parted(member, frame_of(macs[others[0]]))  # the other direction is not its business


def frame_of(mac: str) -> bytes:
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) + b"\x08\x00" + bytes(46)


def test_large_sets_have_several_filters() -> None:
    network = plan(Topology.MESH, 250)
    found = barriers(network, [["n0"], [f"n{at}" for at in range(1, 250)]])
    texts = list(next(each for each in found if each.link == "lan--n0").filters())
    assert len(texts) == -(-249 // ADDRESSES_PER_FILTER)
    stopped = [compile_filter(text) for text in texts]
    assert all(any(each.matches(frame_of(network.device(f"n{at}").mac)) for each in stopped) for at in range(1, 250))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([["n0"], ["n9"]], "'n9' is no node: there are aggregator, n0"),
        ([["n0"], ["lan"]], "'lan' is no node"),
        ([["n0", "n1"], ["n1"]], "'n1' is named twice"),
    ],
)
@pytest.mark.parametrize("topology", [Topology.STAR, Topology.RING])
def test_wrong_names(topology: Topology, sets: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        barriers(plan(topology), sets)


@given(data=st.data(), count=st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_no_way_is_left_between_the_sets_and_all_ways_within(data: st.DataObject, count: int) -> None:
    """In any connected network in which nodes forward."""
    tree = [(data.draw(st.integers(0, at - 1)), at) for at in range(1, count)]
    extra = data.draw(st.lists(st.sampled_from(list(combinations(range(count), 2))), max_size=4, unique=True))
    links = tree + [pair for pair in extra if pair not in tree]
    network = plan(Topology.CUSTOM, count, links)
    assume(not network.switches)
    owner = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=count, max_size=count))
    sets = [[f"n{at}" for at in range(count) if owner[at] == each] for each in sorted(set(owner))]
    down = cut(barriers(network, sets))
    sides = {name: index for index, members in enumerate(sets) for name in members}
    for link in network.links:
        a, b = site_of(network, link.a), site_of(network, link.b)
        if a in sides and b in sides:
            assert (link.name in down) is (sides[a] != sides[b])


def test_the_links_of_a_site() -> None:
    def names(network: NetworkPlan, node: str) -> list[str]:
        return [link.name for link in links_of_site(network, node)]

    star, ring, mesh = plan(Topology.STAR, 3), plan(Topology.RING, 4), plan(Topology.MESH, 3)
    assert names(star, "n1") == ["n0--n1"]
    assert names(star, "n0") == ["n0--n1", "n0--n2", "aggregator--n0"]
    assert names(ring, "n1") == ["n0--n1", "n1--n2"]
    assert names(mesh, "n2") == ["lan--n2"]
    assert names(mesh, "n9") == []
