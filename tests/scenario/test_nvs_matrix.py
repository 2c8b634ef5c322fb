"""Nodes on configurations of the NVS matrix: as a key of a file, and as runs of scenarios times configurations."""

from pathlib import Path

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.flash.matrix import MATRIX, config
from swarmrig.model.scenario import FirmwareSpec
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_scenario, load_text
from swarmrig.scenario.nvs_matrix import node_of_matrix, with_nvs_config
from swarmrig.scenario.resolved import dump_scenario

REGISTRY = Registry.load()
FILE = """\
swarmrig: 1
nodes:
  a: {role: coordinator}
  b: {nvs_config: NAME}
"""


def load(name: str):
    text = FILE.replace("NAME", name)
    return load_text(text, Origin("example.yml", Path("/elsewhere"), "example"), registry=REGISTRY)


@pytest.mark.parametrize("name", ["corrupt-nvs", "corrupt_nvs"])
def test_a_file_can_name_a_configuration(name):
    scenario = load(name)
    assert [node.nvs_config for node in scenario.nodes] == [None, "corrupt-nvs"]
    again = load_text(dump_scenario(scenario), Origin("x.yml", Path("/x"), "x"), registry=REGISTRY)
    assert [node.nvs_config for node in again.nodes] == [None, "corrupt-nvs"]


def test_a_configuration_that_is_not_there():
    with pytest.raises(ScenarioError, match=r"example\.yml:4:19: .*no NVS configuration 'corupt'; there are: default"):
        load("corupt")


def labels(scenario):
    return [check.label for check in scenario.checks]


@pytest.mark.parametrize("one", MATRIX, ids=lambda one: one.name)
def test_each_configuration_has_its_checks(one):
    scenario = load_scenario("standard", registry=REGISTRY)
    made = with_nvs_config(scenario, scenario.node("n1"), one, REGISTRY)
    assert [node.id for node in made.nodes if node.nvs_config == one.name] == ["n1"]
    assert made.name == f"standard-{one.name}"
    assert made.faults == ()
    assert labels(made)[:3] == ["all_nodes_boot", "no_crashes", "no_heap_errors"]
    told = labels(made)[3:]
    assert ("n1 says that NVS is damaged" in told) == one.damaged
    assert ("n1 finds NVS sound" in told) != one.damaged


def test_what_the_reference_firmware_repeats_is_checked():
    scenario = load_scenario("smoke", registry=REGISTRY)
    made = with_nvs_config(scenario, scenario.node("n1"), config("tdm-3node"), REGISTRY)
    assert labels(made)[4:] == ["n1 says node_id=0", "n1 says tdm_slot=0", "n1 says tdm_nodes=3"]


def test_other_firmware_has_words_of_its_own():
    scenario = load_scenario("smoke", registry=REGISTRY)
    node = scenario.node("n1")
    other = type(node)(**{
        **{name: getattr(node, name) for name in node.__dataclass_fields__},
        "firmware": FirmwareSpec(image=Path("/firmware.elf")),
    })  # fmt: skip
    made = with_nvs_config(scenario, other, config("tdm-3node"), REGISTRY)
    assert labels(made)[3:] == ["n1 finds NVS sound"]


def test_which_node():
    scenario = load_scenario("smoke", registry=REGISTRY)
    assert node_of_matrix(scenario, None).id == "n1"
    assert node_of_matrix(scenario, "n0").id == "n0"
    assert node_of_matrix(scenario, "0").id == "n0"
    with pytest.raises(ScenarioError, match=r"has no node 'n7' \(its nodes are: n0, n1\)"):
        node_of_matrix(scenario, "n7")


def test_long_names_stay_names():
    scenario = load_scenario("smoke", registry=REGISTRY)
    long = type(scenario)(**{
        **{name: getattr(scenario, name) for name in scenario.__dataclass_fields__}, "name": "x" * 64
    })  # fmt: skip
    made = with_nvs_config(long, scenario.node("n1"), config("edge-tier2-custom"), REGISTRY)
    assert len(made.name) == 64
    assert made.name.endswith("x-edge-tier2-custom")
