"""The JSON Schema agrees with the loader: what runs is valid, what is plainly wrong is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.located import parse
from swarmrig.scenario.presets import preset_names
from swarmrig.scenario.problems import Problems
from swarmrig.scenario.resolved import scenario_dict
from swarmrig.scenario.schema import scenario_schema
from swarmrig.scenario.tree import plain

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yml"))
NATIVE = [file for file in EXAMPLES if file.name.endswith(".swarmrig.yml")]


def values(text: str) -> Any:
    problems = Problems()
    tree = parse(text, "t.yml", problems)
    assert tree is not None
    assert not problems
    return plain(tree)


@pytest.fixture(scope="module")
def validator(registry: Any) -> Draft202012Validator:
    return Draft202012Validator(scenario_schema(registry))


@pytest.fixture(scope="module")
def installed() -> Registry:
    return Registry.load()


def test_it_is_a_schema(registry: Any, installed: Registry) -> None:
    for some in (registry, installed):
        schema = scenario_schema(some)
        assert schema["$schema"].endswith("2020-12/schema")
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(installed: Registry) -> None:
    import re

    schema = scenario_schema(installed)
    found = re.findall(r"'\$ref': '#/\$defs/([^']+)'", str(schema))
    assert found
    assert set(found) <= set(schema["$defs"])


def test_every_key_is_described(installed: Registry) -> None:
    schema = scenario_schema(installed)
    own = ["ScenarioFile", "NetworkEntry", "LinkOptions", "FirmwareEntry", "NodeConfig", "Burst"]
    sections = [schema] + [schema["$defs"][name] for name in own if name in schema["$defs"]]
    for section in sections:
        for key, value in section["properties"].items():
            behind = schema["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
            forms = value.get("anyOf", [])
            described = value.get("description") or behind.get("description") or any("$ref" in form for form in forms)
            assert described, key


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_run_and_are_valid(installed: Registry, file: Path) -> None:
    scenario = load_scenario(file, registry=installed)
    assert scenario.warnings == ()
    validator = Draft202012Validator(scenario_schema(installed))
    if file in NATIVE:
        validator.validate(values(file.read_text()))
    validator.validate(scenario_dict(scenario, installed))


def test_quantities_of_installed_plugins_are_valid(installed: Registry) -> None:
    text = """\
swarmrig: 1
nodes: {a: {memory: 16MiB}}
checks:
  - console: {matches: x, within: 2s, count: 3}
  - frames: {filter: csi, rate: {min: 5}}
  - exit: {node: a, signal: SIGTERM}
  - network_partitioned_recovery: {within: 5s}
"""
    Draft202012Validator(scenario_schema(installed)).validate(values(text))


def test_there_are_examples_of_both_kinds() -> None:
    assert len(NATIVE) >= 2
    assert len(EXAMPLES) - len(NATIVE) >= 2


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_once_resolved(installed: Registry, name: str) -> None:
    resolved = scenario_dict(load_scenario(name, registry=installed), installed)
    Draft202012Validator(scenario_schema(installed)).validate(resolved)


VALID = [
    "nodes: {a: , b: {}}",
    "nodes: {a: {kind: open, whatever: 1}}",
    "nodes: {a: {memory: 3, config: {channel: 36, scenario: 255, chan_list: [1, 2], wasm_pubkey: '00ff'}}}",
    "nodes: {a: {boot_within: 2s}}\nchecks: [console: {matches: x, within: 500ms}]",
    "nodes: {a: }\ndefaults: {machine: x, config: {edge_tier: 1}}",
    "nodes: {a: }\nduration: 1.5m\ntime: virtual\nseed: 3",
    "nodes: {a: }\nchecks: [all_nodes_boot, frame_rate_above: 3, frame_rate_above: {hz: 3}, fall_detected_by_node_0]",
    "nodes: {a: }\nchecks: [fall_detected_by_node_0: {times: 2}, fall_detected_by_node: 0, console: {matches: x}]",
    "nodes: {a: , b: }\nfaults: [{at: 1, cut: {between: [a, b], for: 2s}}, {at: 500ms, pause: a}]",
    "nodes: {a: }\nnetwork: {topology: star, link: {latency: 5ms, loss: 5%, queue: 64KiB, rate: 1Mbit}}",
]


@pytest.mark.parametrize("text", VALID)
def test_valid_files_are_valid_to_both(load: Any, validator: Draft202012Validator, text: str) -> None:
    text = f"swarmrig: 1\n{text}\n"
    if "wasm_pubkey" not in text:
        load(text)
    validator.validate(values(text))


INVALID = [
    "nodes: {}",
    "name: x",
    "nodes: [a]",
    "nodes: {../a: }",
    "nodes: {a: {rol: sensor}}",
    "nodes: {a: {kind: qemuu}}",
    "nodes: {a: {number: 50000}}",
    "nodes: {a: {config: {channel: 15}}}",
    "nodes: {a: {config: {scenario: 10}}}",
    "nodes: {a: {config: {fall_thresh: 70000}}}",
    "nodes: {a: {config: {fall_thres: 7}}}",
    "nodes: {a: {firmware: {parts: [{offset: 0}]}}}",
    "nodes: {a: }\nname: a/b",
    "nodes: {a: }\nduration: soon",
    "nodes: {a: }\nseed: -1",
    "nodes: {a: }\nmatrix: {}",
    "nodes: {a: }\nnetwork: {topology: starr}",
    "nodes: {a: }\nnetwork: {link: {loss: 2}}",
    "nodes: {a: }\nnetwork: {links: [{between: [a]}]}",
    "nodes: {a: }\nchecks: [all_node_boot]",
    "nodes: {a: }\nchecks: [console]",
    "nodes: {a: }\nchecks: [{all_nodes_boot: , no_crashes: }]",
    "nodes: {a: }\nchecks: [frame_rate_above: fast]",
    "nodes: {a: }\nfaults: [{at: 1s}]",
    "nodes: {a: }\nfaults: [{cut: {between: [a, b]}}]",
    "nodes: {a: }\nfaults: [{at: 1s, cut: {between: [a, b]}, pause: a}]",
    "nodes: {a: }\nfaults: [{at: 1s, cutt: {}}]",
    "nodes: {a: }\ndefaults: {number: 3}",
]


@pytest.mark.parametrize("text", INVALID)
def test_invalid_files_are_invalid_to_both(load: Any, registry: Any, text: str) -> None:
    from swarmrig.errors import ScenarioError

    text = f"swarmrig: 1\n{text}\n"
    with pytest.raises(ScenarioError):
        load(text)
    strict = Registry({**registry.points, "swarmrig.nodes": _closed(registry)})
    assert not Draft202012Validator(scenario_schema(strict)).is_valid(values(text))


def _closed(registry: Any) -> Any:
    """Without the backend that takes any key, which makes every key valid."""
    return {kind: point for kind, point in registry.points["swarmrig.nodes"].items() if kind != "open"}


def test_a_plugin_without_a_schema_takes_anything(registry: Any) -> None:
    from collections.abc import Callable
    from types import SimpleNamespace

    class Odd(BaseModel):
        function: Callable[[], int]

    point = SimpleNamespace(name="odd", value="x:y", load=lambda: SimpleNamespace(params_model=Odd, __doc__=None))
    points = {**registry.points, "swarmrig.checks": {**registry.points["swarmrig.checks"], "odd": point}}
    schema = scenario_schema(Registry(points))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({"swarmrig": 1, "nodes": {"a": {}}, "checks": [{"odd": {"function": 1}}]})
