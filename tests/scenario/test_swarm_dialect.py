"""Files of the swarm dialect run unchanged: what its own system would not mind warns, what it refuses is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import Role, Scenario, SourceRef, Topology
from swarmrig.scenario.load import load_scenario

DATA = Path(__file__).parent / "data"


def from_data(registry: Any, name: str) -> Scenario:
    return load_scenario(DATA / name, registry=registry)


def problems_of(load: Any, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_least_file_takes_all_defaults(registry: Any) -> None:
    scenario = from_data(registry, "minimal.yaml")
    assert (scenario.name, scenario.duration_ns, scenario.dialect) == ("unnamed-swarm", 60 * 10**9, "swarm")
    assert (scenario.network.topology, scenario.aggregator_port, scenario.checks) == (Topology.MESH, 5005, ())
    [node] = scenario.nodes
    assert (node.id, node.number, node.role, node.scenario, node.channel) == ("n0", 0, Role.COORDINATOR, 0, 6)
    assert (node.tdm_slot, node.edge_tier, node.is_gateway, node.filter_mac) == (0, None, False, None)
    assert scenario.warnings == ()


def test_a_file_of_another_team_runs_unchanged(registry: Any) -> None:
    scenario = from_data(registry, "office.yaml")
    assert (scenario.name, scenario.duration_ns, scenario.aggregator_port) == ("Office-2nd-floor", 45 * 10**9, 6005)
    assert (scenario.network.topology, scenario.network.hub) == (Topology.STAR, "n10")
    first, second, third = scenario.nodes
    assert (first.number, first.edge_tier, first.is_gateway, first.tdm_slot) == (10, 2, True, 0)
    assert (second.number, second.scenario, second.channel, second.tdm_slot) == (11, 2, 36, 1)
    assert second.filter_mac == "AA:BB:CC:DD:EE:FF"
    assert (third.scenario, third.tdm_slot, third.edge_tier, third.filter_mac) == (255, 7, None, None)
    assert second.source is not None
    assert second.source.line == 16


def test_its_oddities_warn_with_their_places(registry: Any) -> None:
    where = DATA / "office.yaml"
    assert from_data(registry, "office.yaml").warnings == (
        f"{where}:4:9: name: 'Office, 2nd floor' becomes 'Office-2nd-floor', which is safe in paths",
        f"{where}:5:3: unknown key 'description' is ignored (known keys: name, duration_s, topology, aggregator_port)",
        f"{where}:22:5: unknown key 'label' is ignored (known keys: role, node_id, is_gateway, scenario, channel, "
        "tdm_slot, edge_tier, filter_mac)",
        f"{where}:25:15: scenario: 255 plays all scenarios, one after the other",
        f"{where}:26:15: tdm_slot: 7 is beyond the 3 slots of this swarm",
    )


def test_its_assertions_are_checks(registry: Any) -> None:
    checks = from_data(registry, "office.yaml").checks
    assert [(check.label, dict(check.params)) for check in checks] == [
        ("all_nodes_boot", {}),
        ("no_crashes", {}),
        ("frame_rate_above", {"hz": 12.5}),
        ("max_boot_time_s", {"seconds": 8.0}),
        ("fall_detected_by_node_12", {"node": 12, "times": 1}),
        ("frame_rate_above", {"hz": 10.0}),
    ]
    assert checks[4].name == "fall_detected_by_node"
    assert checks[4].source == SourceRef(str(DATA / "office.yaml"), 35, 5)


def test_shared_settings_are_merged(registry: Any) -> None:
    scenario = from_data(registry, "shared-settings.yaml")
    assert scenario.nodes[0].is_gateway
    assert [(node.channel, node.edge_tier, node.scenario) for node in scenario.nodes[1:]] == [(11, 1, 3), (149, 1, 0)]
    assert "unknown key 'templates' is ignored" in scenario.warnings[0]


def test_a_ring_of_two_is_a_line(registry: Any, load: Any) -> None:
    scenario = from_data(registry, "two-in-a-ring.yaml")
    assert scenario.network.topology is Topology.LINE
    assert "a ring of 2 is run as a line" in scenario.warnings[0]
    assert load("swarm: {topology: line}\nnodes: [{role: sensor}]").network.topology is Topology.MESH
    assert load("swarm: {topology: ring}\nnodes: [{}, {}, {}]").network.topology is Topology.RING


def test_faults_may_be_added(registry: Any) -> None:
    [fault] = from_data(registry, "cut.yaml").faults
    assert (fault.kind, fault.at_ns, fault.for_ns) == ("cut", 5 * 10**9, 2 * 10**9)
    assert fault.params == {"between": ("n0", "n1")}


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("swarm: {duration_s: 4}", "1:21", "duration_s: expected at least 5, seen 4"),
        ("swarm: {duration_s: '60'}", "1:21", "duration_s: expected a number of seconds, seen '60'"),
        ("swarm: {duration_s: true}", "1:21", "duration_s: expected a number of seconds, seen true"),
        ("swarm: {duration_s: .nan}", "1:21", "duration_s: expected at least 5"),
        ("swarm: {duration_s: .inf}", "1:21", "duration_s: expected a duration"),
        ("swarm: {topology: starr}", "1:19", "star, mesh, line, ring, seen 'starr' (did you mean 'star'?)"),
        ("swarm: {topology: custom}", "1:19", "topology: expected one of"),
        ("swarm: {topology: [star]}", "1:19", "topology: expected one of"),
        ("swarm: {aggregator_port: 0}", "1:26", "aggregator_port: expected at least 1"),
        ("swarm: {aggregator_port: x}", "1:26", "aggregator_port: expected a whole number"),
        ("swarm: {name: [a]}", "1:15", "name: expected a text, seen a list"),
        ("swarm: [1]", "1:8", "swarm: expected a mapping, seen a list"),
        ("swarm: {}\nassertions: {a: b}", "2:13", "assertions: expected a list, seen a mapping"),
        ("swarm: {}\nassertions: [no_crashs]", "2:14", "unknown check 'no_crashs' (did you mean 'no_crashes'?)"),
        ("swarm: {}\nassertions: [frame_rate_abov: 3]", "2:14", "did you mean 'frame_rate_above'?"),
        ("swarm: {}\nassertions: [fall_detected_by_node_7]", "2:14", "no node has the number 7 (numbers of nodes: 0)"),
        ("swarm: {}\nassertions: [fall_detected_by_node_x]", "2:14", "unknown check 'fall_detected_by_node_x'"),
        ("swarm: {}\nassertions: [frame_rate_above: fast]", "2:32", "frame_rate_above: expected a number, seen 'fast'"),
        ("swarm: {}\nassertions: [frame_rate_above: 0]", "2:32", "frame_rate_above: expected more than 0, seen 0"),
        ("swarm: {}\nassertions: [all_nodes_boot: 3]", "2:30", "expected a mapping of parameters, seen 3 (it takes no"),
        ("swarm: {}\nassertions: [7]", "2:14", "assertions: expected the name of a check"),
        ("swarm: {}\nassertions: [[all_nodes_boot]]", "2:14", "assertions: expected the name of a check"),
        ("swarm: {}\nfaults: [{at: 5s, cut: {between: [n0, n9]}}]", "2:39", "between: no node is called 'n9'"),
    ],
)  # fmt: skip
def test_what_its_own_system_refuses_is_refused(load: Any, text: str, place: str, expected: str) -> None:
    [found] = problems_of(load, f"{text}\nnodes:\n  - {{role: coordinator}}\n")
    assert found.startswith(f"t.yml:{place}: ")
    assert expected in found


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{role: boss}", "role: expected one of sensor, coordinator, gateway, seen 'boss'"),
        ("{node_id: 256}", "node_id: expected at most 255, seen 256"),
        ("{node_id: -1}", "node_id: expected at least 0"),
        ("{node_id: a}", "node_id: expected a whole number, seen 'a'"),
        ("{node_id: true}", "node_id: expected a whole number, seen true"),
        ("{scenario: 10}", "scenario: expected a mock scenario in 0..9, or 255 for all of them in turn, seen 10"),
        ("{channel: 15}", "channel: expected a channel in 1..14 or 36..177"),
        ("{channel: '6'}", "channel: expected a whole number, seen '6'"),
        ("{edge_tier: 3}", "edge_tier: expected at most 2"),
        ("{tdm_slot: -1}", "tdm_slot: expected at least 0"),
        ("{is_gateway: 1}", "is_gateway: expected true or false, seen 1"),
        ("{filter_mac: 12}", "filter_mac: expected a text, seen 12"),
        ("{filter_mac: 'xx:xx:xx:xx:xx:xx'}", "filter_mac: expected a MAC address"),
        ("sensor", "node 0: expected a mapping, seen 'sensor'"),
    ],
)  # fmt: skip
def test_wrong_nodes_are_explained_in_words_of_the_file(load: Any, node: str, expected: str) -> None:
    [found] = problems_of(load, f"swarm: {{}}\nnodes:\n  - {node}\n")
    assert found.startswith("t.yml:3:")
    assert expected in found


def test_ids_are_unique(load: Any) -> None:
    text = "swarm: {}\nnodes:\n  - {node_id: 1}\n  - {}\n  - {node_id: 1}\n"
    assert problems_of(load, text) == [
        "t.yml:4:5: node_id: 1 is the id of two nodes (first: t.yml:3:5)"
        " (without node_id, a node's position in the list is its id)",
        "t.yml:5:15: node_id: 1 is the id of two nodes (first: t.yml:3:5)",
    ]


@pytest.mark.parametrize("nodes", ["", "nodes:", "nodes: []"])
def test_there_is_at_least_one_node(load: Any, nodes: str) -> None:
    assert "expected at least one node" in problems_of(load, f"swarm: {{}}\n{nodes}\n")[0]


def test_nodes_are_a_list(load: Any) -> None:
    assert problems_of(load, "swarm: {}\nnodes: {a: {}}\n") == [
        "t.yml:2:8: nodes: expected a list of nodes, seen a mapping"
    ]


def test_everything_is_reported_at_once(load: Any) -> None:
    text = "swarm: {duration_s: 1, topology: x}\nnodes:\n- {role: x}\n- {channel: 0}\n"
    text += "assertions:\n- nope_nope\n- no_heap_error\n"
    assert [line.split(":")[1] for line in problems_of(load, text)] == ["1", "1", "3", "4", "6", "7"]


def test_values_out_of_the_ordinary_run(load: Any) -> None:
    scenario = load(
        "swarm: {name: 2024, duration_s: 7.5}\nnodes: [~, {role: sensor, node_id: 5}]\nassertions: [no_crashes: false]"
    )
    assert (scenario.name, scenario.duration_ns) == ("2024", 7_500_000_000)
    assert [node.number for node in scenario.nodes] == [0, 5]
    assert [check.label for check in scenario.checks] == ["no_crashes"]
    assert any("7.5 is not a whole number of seconds" in warning for warning in scenario.warnings)
    assert any("asserted all the same" in warning for warning in scenario.warnings)


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../x", "x"), ("a\nb", "a-b"), ("...", "unnamed"), ("é" * 9, "unnamed"), ("x" * 99, "x" * 64)],
)
def test_names_become_safe_in_paths(load: Any, name: str, safe: str) -> None:
    import json

    assert load(f"swarm: {{name: {json.dumps(name)}}}\nnodes: [{{}}]").name == safe
