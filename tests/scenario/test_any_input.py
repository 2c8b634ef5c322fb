"""Whatever is loaded, the result is a scenario or a list of problems within the file, never anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import Scenario
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.presets import preset_names, preset_text

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yml"))
SEEDS = [preset_text(name) for name in preset_names()] + [file.read_text() for file in EXAMPLES]
SEEDS += [file.read_text() for file in sorted((Path(__file__).parent / "data").iterdir())]

fragments = st.sampled_from(
    [
        "swarmrig: 1\n", "swarm:\n", "nodes:\n", "  a: ", "  - ", "{", "}", "[", "]", ", ", ": ", "\n", "\t", "&a ",
        "*a", "<<: *a\n", "!!str ", "!x ", "'", '"', "|\n", ">-\n", "---\n", "...\n", "#", "%YAML 1.1\n", "? ",
        "null", "1e999", "-1", "0x", ".nan", "true", "../", "\\", "\\x", "\\ud800", "\x00", "\ufeff", "\u2028", "é",
        "checks: [",
        "network: {topology: ring}\n", "faults: [{at: 1s, cut: {between: [a, b]}}]\n", "defaults: {}\n", "config: {",
        "duration: ", "seed: ", "role: ", "number: ", "kind: ", "firmware: {image: x}\n", "swarmrig", "node_id: 3\n",
    ]
)  # fmt: skip


def check(load: Any, text: str) -> None:
    """Load; problems must lie within the text."""
    try:
        assert isinstance(load(text), Scenario)
    except ScenarioError as error:
        assert error.problems
        last = (
            text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
        )
        for problem in error.problems:
            assert problem.message
            assert "\n" not in str(problem)
            assert problem.line is None or 1 <= problem.line <= last
            assert problem.column is None or problem.column >= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.text())
@example(text='a: "\\ud800"')
@example(text="\ud800")
@example(text="%YAML 99999999999999999999.1\n--- a")
@example(text='"\\UFFFFFFFF"')
@example(text="!<tag:yaml.org,2002:int> x")
def test_any_text(load: Any, text: str) -> None:
    check(load, text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(parts=st.lists(fragments | st.text(max_size=4), max_size=25))
def test_any_yaml_like_text(load: Any, parts: list[str]) -> None:
    check(load, "".join(parts))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), fragments), min_size=1, max_size=4),
)
def test_mutations_of_valid_files(load: Any, seed: str, edits: list[tuple[float, int, str]]) -> None:
    for where, removed, added in edits:
        at = int(where * len(seed))
        seed = seed[:at] + added + seed[at + removed :]
    check(load, seed)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.sampled_from(SEEDS), where=st.floats(0, 1), other=st.floats(0, 1))
def test_lines_moved_within_valid_files(load: Any, seed: str, where: float, other: float) -> None:
    lines = seed.split("\n")
    lines.insert(int(other * (len(lines) - 1)), lines.pop(int(where * (len(lines) - 1))))
    check(load, "\n".join(lines))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = ["name", "duration", "seed", "time", "network", "aggregator_port", "defaults", "nodes", "faults", "checks"]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(extra=st.dictionaries(st.sampled_from(keys), values), node=values, fault=values, item=values)
def test_values_of_any_type_anywhere(load: Any, extra: dict[str, Any], node: Any, fault: Any, item: Any) -> None:
    import json

    file = {
        "swarmrig": 1,
        "nodes": {"a": {}, "b": node},
        "faults": [{"at": 1, "cut": fault}],
        "checks": [item],
        **extra,
    }
    check(load, json.dumps(file))
    check(load, json.dumps({"swarm": extra, "nodes": [{}, node], "assertions": [item], "faults": fault}))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    pairs=st.lists(
        st.tuples(
            st.lists(st.sampled_from([*keys, "a", "b", "0", "config", "links", "link", "", "x"]), max_size=4).map(
                ".".join
            ),
            st.text(max_size=6) | fragments,
        ),
        max_size=3,
    )
)
def test_any_override(load: Any, pairs: list[tuple[str, str]]) -> None:
    text = "swarmrig: 1\nnodes: {a: , b: }\nchecks: [all_nodes_boot]\nnetwork: {link: {loss: 1%}}\n"
    try:
        load(text, overrides=pairs)
    except ScenarioError as error:
        for problem in error.problems:
            assert problem.file in ("t.yml", None) or str(problem.file).startswith("--set ")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.binary(max_size=60))
def test_any_bytes(registry: Any, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_bytes(data)
    with pytest.raises(ScenarioError):
        load_scenario(file, registry=registry)
