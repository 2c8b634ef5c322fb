"""The presets hold what their table says, and their fault is one that must be seen."""

from __future__ import annotations

from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.presets import find_preset, list_presets, preset_names

BASE = ["all_nodes_boot", "no_crashes"]
FRAMES = [*BASE, "tdm_no_collision", "all_nodes_produce_frames"]
COORDINATOR = [*FRAMES, "coordinator_receives_from_all"]
TABLE = {
    "smoke": ("star", 15, [("coordinator", 0, 1), ("sensor", 1, None)], [*BASE, "max_boot_time_s=10"]),
    "standard": (
        "star", 60, [("coordinator", 0, 2), ("sensor", 2, None), ("sensor", 3, None)],
        [*COORDINATOR, "fall_detected_by_node_2", "frame_rate_above=15", "max_boot_time_s=10"],
    ),
    "large-mesh": (
        "mesh", 90, [("coordinator", 0, None), *(("sensor", n, None) for n in range(1, 6))],
        [*COORDINATOR, "no_heap_errors", "frame_rate_above=10", "max_boot_time_s=15"],
    ),
    "line-relay": (
        "line", 60, [("gateway", 0, 2), ("coordinator", 0, 1), ("sensor", 2, None), ("sensor", 1, None)],
        [*FRAMES, "max_boot_time_s=12"],
    ),
    "ring-fault": (
        "ring", 75, [("coordinator", 0, None), *(("sensor", n, None) for n in range(1, 4))],
        [*COORDINATOR, "no_heap_errors", "network_partitioned_recovery", "max_boot_time_s=12"],
    ),
    "heterogeneous": (
        "star", 90, [("coordinator", 0, None), *(("sensor", n, None) for n in (1, 2, 3, 5))],
        [*COORDINATOR, "fall_detected_by_node_3", "no_heap_errors", "frame_rate_above=12", "max_boot_time_s=12"],
    ),
    "ci-matrix": (
        "star", 30, [("coordinator", 0, 1), ("sensor", 1, None), ("sensor", 2, None)],
        [*BASE, "tdm_no_collision", "max_boot_time_s=10"],
    ),
    "chaos": (
        "star", 206, [("coordinator", 0, 2), *(("sensor", n, None) for n in (2, 3, 4))],
        [*BASE, "network_partitioned_recovery", "recovers_within", "no_data_loss_after_heal", "degrades_gracefully",
         "survives"],
    ),
}  # fmt: skip
NOT_IN_CHAOS = {"console_stall": "in virtual time the console does not wait to be read"}


def label(scenario: Scenario) -> list[str]:
    bare = {"max_boot_time_s": "seconds", "frame_rate_above": "hz"}
    return [c.label + (f"={c.params[bare[c.name]]:g}" if c.name in bare else "") for c in scenario.checks]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """What is installed: presets use all of it."""
    return Registry.load()


@pytest.mark.parametrize("name", preset_names())
def test_presets_hold_what_their_table_says(registry: Any, name: str) -> None:
    scenario = load_scenario(name, registry=registry)
    topology, seconds, nodes, checks = TABLE[name]
    assert scenario.name == name
    assert (scenario.network.topology.value, scenario.duration_ns) == (topology, seconds * 10**9)
    assert [(node.role.value, node.scenario, node.edge_tier) for node in scenario.nodes] == nodes
    assert [node.number for node in scenario.nodes] == list(range(len(nodes)))
    assert label(scenario) == checks
    assert scenario.warnings == ()
    assert scenario.source == f"preset {name}"


def test_details_of_single_presets(registry: Any) -> None:
    assert load_scenario("standard", registry=registry).nodes[0].is_gateway
    assert load_scenario("heterogeneous", registry=registry).nodes[4].channel == 11
    assert set(TABLE) == set(preset_names())


def test_chaos_has_every_kind_of_fault(registry: Any) -> None:
    kinds = {fault.kind for fault in load_scenario("chaos", registry=registry).faults}
    points = registry.points["swarmrig.faults"].items()
    assert kinds == {kind for kind, point in points if point.value.startswith("swarmrig.")} - set(NOT_IN_CHAOS)


def test_the_ring_loses_a_link_that_carries_a_sensors_frames(registry: Any) -> None:
    scenario = load_scenario("ring-fault", registry=registry)
    [fault] = scenario.faults
    assert (fault.kind, fault.at_ns, fault.for_ns) == ("cut", 25 * 10**9, 10 * 10**9)
    ends = fault.params["between"]
    assert scenario.coordinator is not None
    assert scenario.coordinator.id in ends, "the only shortest path of the other end is this link"
    assert {end for end in ends if end != scenario.coordinator.id} <= {node.id for node in scenario.sensors}


@pytest.mark.parametrize("name", ["large-mesh", "large_mesh"])
def test_dash_and_underscore_are_the_same(registry: Any, name: str) -> None:
    assert find_preset(name) == "large-mesh"
    assert load_scenario(name, registry=registry).name == "large-mesh"


def test_presets_are_listed_with_a_line_about_each(registry: Any) -> None:
    listed = list_presets(registry)
    assert [preset.name for preset in listed] == list(TABLE)
    assert all(preset.description and len(preset.description) < 100 for preset in listed)
    assert [(p.nodes, p.topology.value, p.duration_ns // 10**9) for p in listed] == [
        (len(nodes), topology, seconds) for topology, seconds, nodes, _ in TABLE.values()
    ]


def test_the_installed_plugins_understand_every_preset() -> None:
    installed = Registry.load()
    for name in preset_names():
        assert load_scenario(name, registry=installed).nodes


@pytest.mark.parametrize(
    ("name", "hint"), [("standart", "did you mean 'standard'?"), ("ring", "did you mean"), ("xyz", "presets: smoke")]
)
def test_an_unknown_name_suggests(registry: Any, name: str, hint: str) -> None:
    with pytest.raises(ScenarioError, match="there is no preset and no file called") as caught:
        load_scenario(name, registry=registry)
    if name != "ring":
        assert hint in str(caught.value)


def test_a_file_without_suffix_is_found_too(registry: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("swarmrig: 1\nnodes: {a: }\n")
    (tmp_path / "smoke").write_text("not yaml: [")
    assert load_scenario("mine", registry=registry).name == "mine"
    assert load_scenario("smoke", registry=registry).name == "smoke", "a preset is not shadowed by a file"
    with pytest.raises(ScenarioError):
        load_scenario("./smoke", registry=registry)
