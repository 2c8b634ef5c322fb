"""What a user-mode network is planned to be, what is said about it, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmrig.api import NodePlan
from swarmrig.cli.bare_plan import bare_network, check_wiring
from swarmrig.errors import ScenarioError
from swarmrig.model.network import Impairment, PortKind
from swarmrig.model.scenario import (
    FaultSpec,
    LinkSpec,
    NetworkMode,
    NetworkSpec,
    NodeSpec,
    Role,
    Scenario,
    SourceRef,
    TimeMode,
    Topology,
)
from swarmrig.net.modes import FABRIC, USER, wires_of
from swarmrig.net.usermode import forwarded_port, plan_user_network
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan, target_ip
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.resolved import dump_scenario

PLACE = SourceRef("rooms.swarmrig.yml", 7, 5)


def scenario(*nodes: NodeSpec, **changes: object) -> Scenario:
    given = nodes or (NodeSpec("coord", 0, role=Role.COORDINATOR), NodeSpec("s1", 1), NodeSpec("s2", 200))
    network = NetworkSpec(Topology.STAR, mode=NetworkMode.USER)
    base = Scenario("rooms", 10**10, 3, TimeMode.REAL, network, given)
    return replace(base, **changes)  # type: ignore[arg-type]


def with_network(**changes: object) -> Scenario:
    return scenario(network=replace(scenario().network, **changes))  # type: ignore[arg-type]


def test_every_node_is_alone_with_the_host() -> None:
    made = scenario()
    plan = plan_user_network(made, [NodePlan(node, (), PortKind.USER) for node in made.nodes])
    nodes = [device for device in plan.devices if device.port is PortKind.USER]
    assert [(device.name, device.link) for device in nodes] == [("coord", "coord"), ("s1", "s1"), ("s2", "s2")]
    assert {(device.ip, device.prefix, device.gateway) for device in nodes} == {("10.0.2.15", 24, "10.0.2.2")}
    assert [device.config["forwarded_port"] for device in nodes] == [5105, 5106, 5305]
    assert len({device.mac for device in nodes}) == 3
    captured = {link.name: (link.a, link.b) for link in plan.links if link.capture}
    assert captured == {name: (name, "host") for name in ("coord", "s1", "s2")}


def test_the_aggregator_is_where_guests_see_the_host() -> None:
    device = bare_network(scenario()).device("aggregator")
    assert device.ip == device.config["ip"] == "10.0.2.2"
    assert device.config["nodes"] == {"coord": 0, "s1": 1, "s2": 200}


def test_all_nodes_send_to_the_aggregator() -> None:
    made = scenario()
    network = bare_network(made)
    assert {target_ip(made, network, node.id) for node in made.nodes} == {"10.0.2.2"}


def test_it_is_chosen_by_the_mode() -> None:
    assert wires_of(scenario()) is USER
    assert wires_of(with_network(mode=NetworkMode.FABRIC)) is FABRIC
    assert FABRIC.warnings(scenario()) == ()


def test_what_is_lost_is_said() -> None:
    said = "\n".join(USER.warnings(scenario()))
    for words in ("topology star", "cannot reach each other", "127.0.0.1:5005", "coord", "5105", "no impairments"):
        assert words in said
    assert "coord" not in "\n".join(USER.warnings(scenario(NodeSpec("s1", 1))))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"links": (LinkSpec(("coord", "s1"), Impairment(), PLACE),)}, "rooms.swarmrig.yml:7:5: .* coord and s1"),
        ({"impairment": Impairment(loss=0.1)}, "no links that could be impaired"),
    ],
)
def test_wires_are_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ScenarioError, match=expected):
        bare_network(with_network(**changes))


def test_ports_must_fit() -> None:
    assert forwarded_port(scenario(aggregator_port=65_235), 200) == 65_535
    bare_network(scenario(aggregator_port=65_235))
    with pytest.raises(ScenarioError, match="at most 65235"):
        bare_network(scenario(aggregator_port=65_236))


@pytest.mark.parametrize("name", ["host", "aggregator"])
def test_names_of_the_network_itself_are_taken(name: str) -> None:
    with pytest.raises(ScenarioError, match="used by the network itself"):
        bare_network(scenario(NodeSpec(name, 1)))


def test_faults_on_links_are_refused_with_their_place() -> None:
    cut = FaultSpec("cut-1", "cut", 10**9, None, {"between": ("coord", "s1")}, PLACE)
    with pytest.raises(ScenarioError, match=r"rooms.swarmrig.yml:7:5: fault cut: .*mode user cannot be changed"):
        check_wiring(scenario(faults=(cut,)), Registry.load())


@pytest.mark.anyio
async def test_nodes_that_cannot_be_attached_are_refused_with_their_place() -> None:
    options = {"model": "swarmrig.nodes.python.aggregator:make_aggregator", "settings": {}}
    made = scenario(NodeSpec("model", 1, kind="python", options=options, source=PLACE), NodeSpec("s2", 2))
    with pytest.raises(ScenarioError, match=r"rooms.swarmrig.yml:7:5: node model: kind python .* mode user") as caught:
        await make_plan(made, Registry.load())
    assert len(caught.value.problems) == 1


@pytest.mark.anyio
async def test_the_plan_announces_it_and_shows_the_commands() -> None:
    plan = await make_plan(scenario(aggregator_port=6000), Registry.load())
    assert [text for text in plan.warnings if text.startswith("network mode user:")]
    command = " ".join(plan.nodes[1].command)
    assert "-netdev user,id=net,ipv6=off,hostfwd=udp:127.0.0.1:6101-:6000" in command
    assert "-object filter-dump,id=dump,netdev=net,file=/proc/self/fd/6" in command
    assert "dgram" not in command


@pytest.mark.anyio
async def test_qemu_nodes_know_both_kinds_of_network() -> None:
    backend, node = QemuBackend(), scenario().nodes[1]
    assert (await backend.plan(node, scenario())).port is PortKind.USER
    assert (await backend.plan(node, with_network(mode=NetworkMode.FABRIC))).port is PortKind.PACKET


TEXT = """swarmrig: 1
network:
  mode: user
  topology: custom
  link: {loss: 1%}
  links:
    - {between: [a, b], rate: 1Mbit}
nodes:
  a: {role: coordinator}
  b: {}
"""


def test_a_file_is_refused_with_lines_and_columns(tmp_path) -> None:
    path = tmp_path / "x.swarmrig.yml"
    path.write_text(TEXT)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, registry=Registry.load())
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(5, 3), (7, 7)]


def test_a_resolved_scenario_loads_again(tmp_path) -> None:
    path = tmp_path / "x.swarmrig.yml"
    path.write_text("swarmrig: 1\nnetwork: {mode: user}\nnodes: {a: {role: coordinator}, b: {}}\n")
    first = load_scenario(path, registry=Registry.load())
    path.write_text(dump_scenario(first))
    again = load_scenario(path, registry=Registry.load())
    assert again.network == first.network and again.network.mode is NetworkMode.USER
