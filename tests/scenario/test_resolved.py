"""A scenario written back is a native file that loads to the same scenario."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_scenario, load_text
from swarmrig.scenario.presets import preset_names
from swarmrig.scenario.resolved import dump_scenario

DATA = Path(__file__).parent / "data"


def bare(scenario: Scenario) -> Scenario:
    """Without what a file says about itself: places, name and dialect of the file, warnings."""
    return replace(
        scenario,
        nodes=tuple(replace(node, source=None) for node in scenario.nodes),
        faults=tuple(replace(fault, source=None) for fault in scenario.faults),
        checks=tuple(replace(check, source=None) for check in scenario.checks),
        network=replace(scenario.network, links=tuple(replace(link, source=None) for link in scenario.network.links)),
        dialect="",
        source="",
        warnings=(),
    )


def again(scenario: Scenario, registry: Registry) -> Scenario:
    text = dump_scenario(scenario, registry)
    loaded = load_text(text, Origin("scenario.yml", Path("/elsewhere"), "scenario"), registry=registry)
    assert loaded.warnings == ()
    assert loaded.dialect == "native"
    assert dump_scenario(loaded, registry) == text, "writing it twice makes no difference"
    return loaded


@pytest.mark.parametrize("name", sorted(str(file) for file in DATA.iterdir()))
def test_files_survive(registry: Any, name: str) -> None:
    scenario = load_scenario(name, registry=registry)
    assert bare(again(scenario, registry)) == bare(scenario)


@pytest.mark.parametrize("name", preset_names())
def test_presets_survive_with_the_installed_plugins(name: str) -> None:
    installed = Registry.load()
    scenario = load_scenario(name, registry=installed)
    assert bare(again(scenario, installed)) == bare(scenario)
    assert dump_scenario(scenario) == dump_scenario(scenario, installed)


def test_firmware_and_paths_survive(load: Any, registry: Any, tmp_path: Path) -> None:
    odd = tmp_path / "a: b # 'c' é \U0001f600.bin"
    for file in (odd, tmp_path / "base.bin"):
        file.write_bytes(b"x" * 16)
    text = f"""\
swarmrig: 1
nodes:
  a: {{firmware: {{parts: [{{offset: 0x100, file: "{odd.name}"}}, {{offset: 0, file: base.bin}}]}}}}
  b: {{firmware: {{build: "make 'x y'", image: out.elf}}, machine_binary: ./qemu}}
  c: {{firmware: {{flash_base: base.bin, variant: mute}}, machine_binary: qemu-system-arm, boot_within: 1.5s}}
"""
    scenario = load(text, directory=tmp_path)
    assert bare(again(scenario, registry)) == bare(scenario)


def test_texts_that_look_like_something_else_survive(load: Any, registry: Any) -> None:
    words = [
        "yes",
        "null",
        "~",
        "1",
        "0x10",
        "1e3",
        "a: b",
        "# c",
        "'",
        '"',
        "*x",
        "!t",
        "- a",
        "",
        " ",
        "a\nb",
        "é\x85\u2028",
    ]
    import json

    for word in words:
        scenario = load(f"swarmrig: 1\nnodes: {{a: {{arguments: [{json.dumps(word)}]}}}}\nchecks: []\n")
        assert again(scenario, registry).nodes[0].options["arguments"] == (word,)


ids = ["a", "b1", "c_c", "d-d"]
shares = st.floats(0, 1) | st.integers(0, 100).map(lambda number: f"{number}%")
durations = st.builds(
    lambda number, unit: f"{number}{unit}", st.integers(0, 10**6), st.sampled_from(["ns", "us", "ms"])
) | st.floats(0, 1000)
links = st.fixed_dictionaries(
    {},
    optional={
        "latency": durations,
        "jitter": durations,
        "loss": shares,
        "duplicate": shares,
        "reorder": shares,
        "corrupt": shares,
        "queue": st.integers(0, 10**9),
        "rate": st.integers(1, 10**11) | st.sampled_from(["250kbit", "1.5Mbit"]),
        "burst": st.fixed_dictionaries({"to_bad": shares, "to_good": shares}, optional={"bad_loss": shares}),
    },
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
configs = st.fixed_dictionaries(
    {},
    optional={
        "scenario": st.integers(0, 9),
        "channel": st.integers(1, 14) | st.integers(36, 177),
        "tdm_slot": st.integers(0, 255),
        "edge_tier": st.integers(0, 2),
        "filter_mac": st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":")),
        "password": texts.filter(lambda text: len(text.encode()) <= 64),
        "fall_thresh": st.integers(0, 65535),
        "chan_list": st.lists(st.integers(0, 255), max_size=9),
    },
)
nodes = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["sensor", "coordinator", "gateway"]),
        "is_gateway": st.booleans(),
        "machine": texts,
        "memory": st.integers(1, 10**6),
        "arguments": st.lists(texts, max_size=3),
        "boot_within": st.integers(0, 10**4).map(lambda number: f"{number}ms"),
        "config": configs,
    },
)
checks = st.sampled_from(["all_nodes_boot", "frame_rate_above", {"fall_detected_by_node_0": {"times": 3}}]) | st.one_of(
    st.floats(0.1, 1e6).map(lambda hz: {"frame_rate_above": hz}),
    st.builds(
        lambda text, within: {"console": {"node": "a", "matches": text, "within": within}}, texts, st.integers(0, 99)
    ),
)
faults = st.builds(
    lambda at, duration, kind: {
        "at": at,
        **({"cut": {"between": ["a", "b1"], **duration}} if kind else {"pause": "a"}),
    },
    st.integers(0, 29),
    st.sampled_from([{}, {"for": "500ms"}, {"for": 29}]),
    st.booleans(),
)
files = st.fixed_dictionaries(
    {
        "swarmrig": st.just(1),
        "nodes": st.lists(nodes, min_size=4, max_size=4).map(lambda some: dict(zip(ids, some, strict=True))),
        "network": st.fixed_dictionaries(
            {"topology": st.sampled_from(["star", "line", "ring", "mesh", "custom"])},
            optional={"link": links},
        ),
    },
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "duration": st.integers(60, 10**6),
        "time": st.sampled_from(["auto", "real", "virtual"]),
        "aggregator_port": st.integers(1, 65535),
        "checks": st.lists(checks, max_size=4),
        "faults": st.lists(faults, max_size=3),
    },
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(file=files, link=links)
def test_any_scenario_survives(load: Any, registry: Any, file: dict[str, Any], link: dict[str, Any]) -> None:
    import json

    ring = [["a", "b1"], ["b1", "c_c"], ["c_c", "d-d"]]
    if file["network"]["topology"] in ("line", "ring", "custom"):
        file["network"]["links"] = [{"between": pair, **link} for pair in ring]
    scenario = load(json.dumps(file))  # JSON is YAML; what a text editor may do otherwise is tested elsewhere
    assert bare(again(scenario, registry)) == bare(scenario)
