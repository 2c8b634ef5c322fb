"""Plans: names, addresses and routes as documented, and everything in the file that does not fit is said."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.api import NodePlan
from swarmrig.errors import ScenarioError
from swarmrig.model.network import PERFECT, Impairment, NetworkPlan, PortKind
from swarmrig.model.scenario import LinkSpec, NetworkSpec, NodeSpec, Role, Scenario, SourceRef, TimeMode, Topology
from swarmrig.net.plan_file import dump_plan, load_plan
from swarmrig.net.topology import AGGREGATOR, link_between, plan_network

SLOW = Impairment(latency_ns=50_000_000, loss=0.25)


def scenario(
    topology: Topology, *ids: str, links: Sequence[tuple[str, str] | LinkSpec] = (), **more: object
) -> Scenario:
    """Node 0 is the coordinator unless `roles` says otherwise."""
    roles = more.pop("roles", {ids[0]: Role.COORDINATOR})
    assert isinstance(roles, dict)
    nodes = tuple(NodeSpec(node, number, role=roles.get(node, Role.SENSOR)) for number, node in enumerate(ids))
    specs = tuple(link if isinstance(link, LinkSpec) else LinkSpec(link, Impairment()) for link in links)
    network = NetworkSpec(topology, links=specs, **more)  # type: ignore[arg-type]
    return Scenario("test", 10**10, 7, TimeMode.REAL, network, nodes, source="test.yml")


def plan(given: Scenario, **node: object) -> NetworkPlan:
    return plan_network(given, [NodePlan(spec, ("true",), **node) for spec in given.nodes])  # type: ignore[arg-type]


def ends(network: NetworkPlan) -> dict[str, tuple[str, str]]:
    return {link.name: (link.a, link.b) for link in network.links}


def test_star() -> None:
    network = plan(scenario(Topology.STAR, "hub", "s1", "s2"))
    assert ends(network) == {
        "hub": ("hub", "hub.switch"),
        "hub--s1": ("hub.switch", "s1"),
        "hub--s2": ("hub.switch", "s2"),
        "aggregator--hub": ("aggregator", "hub.switch"),
    }
    assert network.link("hub").access
    assert network.link("hub").forward == network.link("hub").backward == PERFECT
    assert network.link("hub--s1").forward == Impairment()
    assert [(d.name, d.ip, d.prefix, d.gateway, d.link) for d in network.devices] == [
        ("hub", "10.0.1.10", 16, None, "hub"),
        ("s1", "10.0.1.11", 16, None, "hub--s1"),
        ("s2", "10.0.1.12", 16, None, "hub--s2"),
        ("aggregator", "10.0.0.1", 16, None, "aggregator--hub"),
    ]
    assert [switch.name for switch in network.switches] == ["hub.switch"]
    assert not network.routers


def test_the_hub_of_a_star_may_be_named() -> None:
    assert "s2--hub" in ends(plan(scenario(Topology.STAR, "hub", "s1", "s2", hub="s2")))
    with pytest.raises(ScenarioError, match="the hub 'nobody' is not a node"):
        plan(scenario(Topology.STAR, "hub", "s1", hub="nobody"))


def test_a_star_without_coordinator_is_around_the_gateway_or_the_first() -> None:
    assert "s2--s1" in ends(plan(scenario(Topology.STAR, "s1", "s2", roles={"s2": Role.GATEWAY})))
    assert "s1--s2" in ends(plan(scenario(Topology.STAR, "s1", "s2", roles={})))


def test_mesh() -> None:
    network = plan(scenario(Topology.MESH, "a", "b"))
    assert ends(network) == {
        "lan--a": ("lan", "a"),
        "lan--b": ("lan", "b"),
        "aggregator--lan": ("aggregator", "lan"),
    }


def test_line() -> None:
    network = plan(scenario(Topology.LINE, "a", "b", "c"))
    assert ends(network) == {
        "a--b": ("a.router", "b.router"),
        "b--c": ("b.router", "c.router"),
        "a": ("a", "a.router"),
        "b": ("b", "b.router"),
        "c": ("c", "c.router"),
        "aggregator--a": ("aggregator", "a.router"),
    }
    assert [(d.name, d.ip, d.prefix, d.gateway) for d in network.devices] == [
        ("a", "10.1.0.2", 24, "10.1.0.1"),
        ("b", "10.1.1.2", 24, "10.1.1.1"),
        ("c", "10.1.2.2", 24, "10.1.2.1"),
        ("aggregator", "10.0.0.1", 24, "10.0.0.254"),
    ]
    middle = next(router for router in network.routers if router.name == "b.router")
    assert {(route.network, route.link, route.next_hop) for route in middle.routes} == {
        ("10.1.0.0/24", "a--b", "172.16.0.1"),
        ("10.0.0.0/24", "a--b", "172.16.0.1"),
        ("10.1.2.0/24", "b--c", "172.16.0.6"),
    }


def test_ring_closes_only_with_more_than_two() -> None:
    assert "c--a" in ends(plan(scenario(Topology.RING, "a", "b", "c")))
    assert [name for name in ends(plan(scenario(Topology.RING, "a", "b"))) if "--" in name] == ["a--b", "aggregator--a"]


def test_the_aggregator_is_at_the_gateway_of_a_routed_network() -> None:
    roles = {"g": Role.GATEWAY, "c": Role.COORDINATOR}
    assert "aggregator--g" in ends(plan(scenario(Topology.LINE, "s", "c", "g", roles=roles)))
    assert "aggregator--c" in ends(plan(scenario(Topology.LINE, "s", "c", roles={"c": Role.COORDINATOR})))
    assert "aggregator--s" in ends(plan(scenario(Topology.LINE, "s", "c", roles={})))


def test_a_custom_star_is_flat_around_its_centre() -> None:
    network = plan(scenario(Topology.CUSTOM, "a", "b", "c", links=[("a", "b"), ("c", "b")]))
    assert ends(network) == {
        "b--a": ("b.switch", "a"),
        "b": ("b", "b.switch"),
        "b--c": ("b.switch", "c"),
        "aggregator--b": ("aggregator", "b.switch"),
    }


def test_two_nodes_and_one_link_are_a_star_around_the_coordinator() -> None:
    network = plan(scenario(Topology.CUSTOM, "a", "b", links=[("a", "b")], roles={"b": Role.COORDINATOR}))
    assert "b--a" in ends(network)


def test_a_custom_graph_is_routed_and_leaves_need_no_router() -> None:
    links = [("hub", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "leaf")]
    network = plan(scenario(Topology.CUSTOM, "hub", "a", "b", "c", "leaf", links=links))
    assert ends(network)["c--leaf"] == ("c.router", "leaf")
    assert {router.name for router in network.routers} == {"hub.router", "a.router", "b.router", "c.router"}
    leaf = network.device("leaf")
    assert (leaf.link, leaf.ip, leaf.gateway) == ("c--leaf", "10.1.4.2", "10.1.4.1")
    assert ends(network)["aggregator--hub"] == ("aggregator", "hub.router")


def test_a_single_node_of_any_topology() -> None:
    for topology in Topology:
        network = plan(scenario(topology, "only"))
        assert {device.name for device in network.devices} == {"only", AGGREGATOR}


@pytest.mark.parametrize("topology", [Topology.STAR, Topology.MESH, Topology.LINE, Topology.RING])
def test_a_full_swarm_has_unique_addresses(topology: Topology) -> None:
    network = plan(scenario(topology, *(f"n{number}" for number in range(256))))
    feet = [foot for router in network.routers for foot in router.interfaces]
    macs = [device.mac for device in network.devices] + [foot.mac for foot in feet]
    ips = [device.ip for device in network.devices] + [foot.ip for foot in feet]
    assert len(set(macs)) == len(macs)
    assert len(set(ips)) == len(ips)
    assert all(mac.startswith("52:54:00:") for mac in macs)
    assert all(ipaddress.ip_address(ip).is_private for ip in ips)
    names = [link.name for link in network.links]
    assert len(set(names)) == len(names)


def test_macs_tell_topology_site_and_number() -> None:
    assert [d.mac for d in plan(scenario(Topology.STAR, "a", "b")).devices[:2]] == [
        "52:54:00:01:00:00",
        "52:54:00:01:00:01",
    ]
    assert [d.mac for d in plan(scenario(Topology.LINE, "a", "b")).devices[:2]] == [
        "52:54:00:03:00:00",
        "52:54:00:03:01:01",
    ]


def test_plans_do_not_change_from_call_to_call() -> None:
    given = scenario(Topology.RING, "a", "b", "c", "d")
    assert plan(given) == plan(given)


def test_services_only_where_an_address_is_asked_for() -> None:
    network = plan(scenario(Topology.STAR, "a", "b"), address_by_dhcp=True)
    (services,) = network.routers
    (foot,) = services.interfaces
    assert (services.name, foot.ip, foot.prefix) == ("services", "10.0.0.254", 16)
    assert {(lease.mac, lease.ip) for lease in foot.leases} == {(d.mac, d.ip) for d in network.devices[:2]}
    assert ends(network)["services"] == ("services", "a.switch")


def test_routed_leases_are_at_the_nodes_own_router() -> None:
    network = plan(scenario(Topology.LINE, "a", "b"), address_by_dhcp=True)
    for router, device in zip(network.routers, network.devices, strict=False):
        leases = [lease for foot in router.interfaces for lease in foot.leases]
        assert [(lease.mac, lease.ip) for lease in leases] == [(device.mac, device.ip)]


def test_defaults_and_overrides_of_impairments() -> None:
    default = Impairment(latency_ns=1)
    given = scenario(Topology.STAR, "hub", "s1", "s2", impairment=default, links=[LinkSpec(("s1", "hub"), SLOW)])
    network = plan(given)
    assert network.link("hub--s1").forward == network.link("hub--s1").backward == SLOW
    assert network.link("hub--s2").forward == default
    assert network.link("aggregator--hub").forward == Impairment()
    assert network.link("hub").forward == PERFECT


def test_the_links_of_a_custom_topology_have_their_own_impairment() -> None:
    links = [LinkSpec(("a", "b"), SLOW), LinkSpec(("b", "c"), Impairment()), LinkSpec(("c", "d"), Impairment()),
             LinkSpec(("aggregator", "a"), Impairment(latency_ns=9))]  # fmt: skip
    network = plan(scenario(Topology.CUSTOM, "a", "b", "c", "d", links=links))
    assert network.link("a--b").forward == SLOW
    assert network.link("b--c").forward == Impairment()
    assert network.link("aggregator--a").forward.latency_ns == 9


def test_link_between_finds_links_in_every_topology() -> None:
    star = plan(scenario(Topology.STAR, "hub", "s1", "s2"))
    assert link_between(star, "s1", "hub") == link_between(star, "hub", "s1") == "hub--s1"
    assert link_between(star, "aggregator", "hub") == "aggregator--hub"
    assert link_between(star, "hub", "hub.switch") == "hub"
    ring = plan(scenario(Topology.RING, "a", "b", "c", "d"))
    assert link_between(ring, "a", "d") == "d--a"
    assert link_between(ring, "a.router", "a") == "a"
    mesh = plan(scenario(Topology.MESH, "a", "b"))
    assert link_between(mesh, "lan", "b") == "lan--b"


def test_link_between_says_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no link joins s1 and s2: the links are .*hub–s1, hub–s2, aggregator–hub"):
        link_between(plan(scenario(Topology.STAR, "hub", "s1", "s2")), "s1", "s2")
    with pytest.raises(ValueError, match="no link joins a and b: the links are lan–a, lan–b"):
        link_between(plan(scenario(Topology.MESH, "a", "b")), "a", "b")


def test_every_problem_of_the_links_is_reported_with_its_place() -> None:
    def spec(a: str, b: str, line: int) -> LinkSpec:
        return LinkSpec((a, b), Impairment(), SourceRef("test.yml", line, 3))

    wrong = [spec("a", "x", 4), spec("b", "b", 5), spec("a", "c", 6), spec("c", "a", 7)]
    with pytest.raises(ScenarioError) as caught:
        plan(scenario(Topology.CUSTOM, "a", "b", "c", links=wrong))
    assert [(problem.line, problem.message.split(",")[0]) for problem in caught.value.problems] == [
        (4, "a link names 'x'"),
        (5, "a link joins 'b' with itself"),
        (7, "c and a are joined twice"),
    ]
    with pytest.raises(ScenarioError, match="no way leads from 'a' to 'c', 'd'"):
        plan(scenario(Topology.CUSTOM, "a", "b", "c", "d", links=[("a", "b"), ("c", "d")]))
    with pytest.raises(ScenarioError, match=r"test\.yml:9:3: no link joins s1 and s2"):
        plan(scenario(Topology.STAR, "hub", "s1", "s2", links=[spec("s1", "s2", 9)]))


@pytest.mark.parametrize("name", ["aggregator", "lan", "services"])
def test_names_of_the_network_itself_are_taken(name: str) -> None:
    with pytest.raises(ScenarioError, match="is used by the network itself"):
        plan(scenario(Topology.MESH, "a", name))


@pytest.mark.parametrize("name", ["a--b", "x.router", "x.switch", "../x"])
def test_names_that_read_like_others_are_refused(name: str) -> None:
    with pytest.raises(ScenarioError, match="reads like the name of a link or forwarder"):
        plan(scenario(Topology.MESH, "a", name))


def test_double_and_missing_nodes_are_refused() -> None:
    with pytest.raises(ScenarioError, match="is used twice"):
        plan(scenario(Topology.LINE, "a", "a"))
    with pytest.raises(ScenarioError, match="at least one node"):
        plan(replace(scenario(Topology.LINE, "a"), nodes=()))


def test_python_nodes_are_told_their_place() -> None:
    network = plan(scenario(Topology.LINE, "a", "b"), port=PortKind.PYTHON, factory="some.module:Model")
    node = network.device("b")
    assert node.factory == "some.module:Model"
    assert {key: node.config[key] for key in ("ip", "prefix", "gateway", "mac", "number", "target_ip", "port")} == {
        "ip": "10.1.1.2", "prefix": 24, "gateway": "10.1.1.1", "mac": node.mac, "number": 1,
        "target_ip": "10.1.0.2", "port": 5005,
    }  # fmt: skip
    assert network.device("a").config["target_ip"] == "10.0.0.1"
    assert network.device(AGGREGATOR).config["nodes"] == {"a": 0, "b": 1}


graphs = st.integers(2, 9).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=12)
    )
)


@given(graphs)
@settings(max_examples=60, deadline=None)
def test_routes_of_any_graph_lead_to_every_subnet_by_a_shortest_path(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, extra = graph
    tree = {(at, at + 1) for at in range(count - 1)}
    edges = tree | {(min(a, b), max(a, b)) for a, b in extra if a != b}
    given_links = [(f"n{a}", f"n{b}") for a, b in sorted(edges)]
    network = plan(scenario(Topology.CUSTOM, *(f"n{at}" for at in range(count)), links=given_links))
    if not network.routers:
        return  # a star
    owner = {foot.ip: router for router in network.routers for foot in router.interfaces}
    neighbours = {
        router.name: {link.b if link.a == router.name else link.a for link in network.links
                      if router.name in (link.a, link.b)} & {other.name for other in network.routers}
        for router in network.routers
    }  # fmt: skip
    for device in network.devices:
        home = next(router.name for router in network.routers
                    if any(foot.ip == device.gateway for foot in router.interfaces))  # fmt: skip
        for start in network.routers:
            here, steps = start, 0
            while here.name != home:
                route = next(r for r in here.routes
                             if ipaddress.ip_address(device.ip) in ipaddress.ip_network(r.network))  # fmt: skip
                assert route.next_hop is not None
                here = owner[route.next_hop]
                steps += 1
            assert steps == _distance(neighbours, start.name, home)


def _distance(neighbours: dict[str, set[str]], start: str, goal: str) -> int:
    reached, steps = {start}, 0
    while goal not in reached:
        reached |= {far for near in reached for far in neighbours[near]}
        steps += 1
    return steps


@pytest.mark.parametrize("topology", list(Topology))
def test_plans_survive_json(topology: Topology) -> None:
    given = scenario(topology, "a", "b", links=[LinkSpec(("a", "b"), SLOW)] if topology is not Topology.MESH else [])
    network = plan(given, address_by_dhcp=True)
    assert load_plan(dump_plan(network)) == network
