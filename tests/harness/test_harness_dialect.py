"""The harness dialect as a format: what it means in the native one, what it warns of and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import FailurePolicy, Role, Scenario, Topology
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_scenario, load_text
from swarmrig.scenario.resolved import dump_scenario

REGISTRY = Registry.load()
FILE = "swarm.yml"
WHOLE = """\
duration_sec: 5
seed: 42
time_quantum_us: 20000
nodes:
  s1: {sensors: [temperature, humidity], interval_ms: 250}
  s2:
  gw: {type: gateway, interval_ms: 1000}
  c: {type: cloud}
network: {type: direct}
"""


def loaded(text: str, directory: Path = Path("/nowhere")) -> Scenario:
    return load_text(text, Origin(FILE, directory, "swarm"), registry=REGISTRY)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        loaded(text)
    return [str(problem) for problem in caught.value.problems]


def options(scenario: Scenario, node: str) -> dict[str, Any]:
    return {key: value for key, value in scenario.node(node).options.items() if value is not None}


def with_nodes(*lines: str, network: str = "{type: direct}") -> str:
    return "duration_sec: 5\nnodes:\n" + "".join(f"  {line}\n" for line in lines) + f"network: {network}\n"


# What a file means.


def test_a_whole_file() -> None:
    scenario = loaded(WHOLE)
    assert (scenario.dialect, scenario.name) == ("harness", "swarm")
    assert (scenario.duration_ns, scenario.seed) == (5_000_000_000, 42)
    assert scenario.network.quantum_ns == 20_000_000
    assert scenario.network.topology is Topology.MESH
    assert scenario.network.impairment.latency_ns == 1_000
    assert scenario.warnings == ()
    assert [(node.id, node.kind, node.role) for node in scenario.nodes] == [
        ("s1", "python", Role.SENSOR),
        ("s2", "python", Role.SENSOR),
        ("gw", "python", Role.GATEWAY),
        ("c", "python", Role.COORDINATOR),
    ]
    assert options(scenario, "s1") == {
        "model": "sensor",
        "settings": {"sensors": ["temperature", "humidity"], "period": "250ms", "to": "gw", "start": 0},
    }
    assert options(scenario, "gw")["settings"] == {"period": "1000ms", "to": "c"}


def test_defaults() -> None:
    scenario = loaded("duration_s: 2\nnodes: {s: }\n")
    assert scenario.network.quantum_ns == 10_000_000
    assert (scenario.seed, scenario.duration_ns) == (0, 2_000_000_000)
    assert options(scenario, "s")["settings"]["to"] == "aggregator"


@pytest.mark.parametrize(
    ("others", "target"),
    [
        (["c: {type: cloud}", "g: {type: gateway}", "g2: {type: gateway}"], "g"),
        (["c: {type: cloud}"], "c"),
        (['d: {type: docker, image: "x:1"}'], "d"),
        ([], "aggregator"),
    ],
)
def test_whom_sensors_send_to(others: list[str], target: str) -> None:
    assert options(loaded(with_nodes("s: {}", *others)), "s")["settings"]["to"] == target


def test_the_file_may_say_whom() -> None:
    scenario = loaded(with_nodes("s: {to: c}", "g: {type: gateway}", "c: {type: cloud}", "s2: {settings: {to: c}}"))
    assert options(scenario, "s")["settings"]["to"] == "c"
    assert options(scenario, "s2")["settings"]["to"] == "c"


def test_latency_is_that_of_two_nodes() -> None:
    scenario = loaded(with_nodes("a: {}", "b: {type: cloud}", network="{type: latency, default_latency_ms: 3}"))
    assert scenario.network.impairment.latency_ns == 1_500_000
    assert scenario.network.quantum_ns == 0


@pytest.mark.parametrize("ends", ["from: a, to: c", "source: c, target: a", "src: a, dst: c", "nodes: [a, c]"])
def test_links_of_their_own(ends: str) -> None:
    links = f"[{{{ends}, latency_ms: 20, jitter_ms: 0.5, loss: 1%, bandwidth_kbps: 64}}]"
    network = f"{{type: latency, default_latency_ms: 4, links: {links}}}"
    scenario = loaded(with_nodes("a: {}", "b: {type: gateway}", "c: {type: cloud}", network=network))
    found = {frozenset(link.between): link.impairment for link in scenario.network.links}
    own = found.pop(frozenset("ac"))
    assert (own.latency_ns, own.jitter_ns, own.loss, own.rate_bps) == (20_000_000, 500_000, 0.01, 64_000)
    assert {pair: link.latency_ns for pair, link in found.items()} == {
        frozenset("ab"): 4_000_000,
        frozenset("bc"): 4_000_000,
    }


def test_a_container() -> None:
    scenario = loaded(
        with_nodes(
            "d: {type: docker, build: app, ports: [8080, '9090:90'], environment: [A=1, B=x=y],",
            "    command: 'run \"a b\"',",
            "    volumes: ['data:/data', 'conf:/conf:ro'], memory: 64MiB, cpus: 0.5, on_failure: ignore}",
            "e: {type: docker, image: 'x:1', environment: {A: 1}, networks: [back]}",
        )
    )
    node = scenario.node("d")
    assert (node.kind, node.on_failure.policy) == ("container", FailurePolicy.IGNORE)
    found = options(scenario, "d")
    assert found["build"]["context"] == Path("/nowhere/app")
    assert found["ports"] == ("8080:8080", "9090:90")
    assert found["environment"] == {"A": "1", "B": "x=y"}
    assert found["command"] == ("run", "a b")
    assert [(str(each["source"]), each["target"], each["read_only"]) for each in found["volumes"]] == [
        ("/nowhere/data", "/data", False),
        ("/nowhere/conf", "/conf", True),
    ]
    assert (found["memory"], found["cpus"], found["network"]) == (64 << 20, 0.5, "fabric")
    assert options(scenario, "e")["network"] == "back"


def test_any_other_type_is_a_kind_with_its_own_keys() -> None:
    scenario = loaded(with_nodes("q: {type: qemu, machine: refnode-arm, config: {scenario: 2}}"))
    assert (scenario.node("q").kind, scenario.node("q").machine, scenario.node("q").scenario) == (
        "qemu",
        "refnode-arm",
        2,
    )


def test_a_renode_machine(tmp_path: Path) -> None:
    (tmp_path / "app.elf").write_bytes(b"\x7fELF")
    (tmp_path / "board.repl").write_text("")
    text = with_nodes("m: {type: renode, platform: board.repl, firmware: app.elf}")
    scenario = loaded(text, tmp_path)
    assert (scenario.node("m").kind, scenario.node("m").firmware.image) == ("renode", tmp_path / "app.elf")
    assert str(options(scenario, "m")["platform"]) == str(tmp_path / "board.repl")


def test_faults_and_checks_are_the_native_ones() -> None:
    scenario = loaded(
        WHOLE + "checks:\n  - console: {node: c, matches: ready}\nfaults:\n  - {at: 1s, wifi_kill: {node: s1}}\n"
    )
    assert [check.name for check in scenario.checks] == ["console"]
    assert [fault.kind for fault in scenario.faults] == ["wifi_kill"]


def test_it_can_be_written_in_the_native_format() -> None:
    scenario = loaded(WHOLE)
    again = loaded(dump_scenario(scenario, REGISTRY))
    assert again.dialect == "native"
    assert (again.network, again.seed, again.duration_ns) == (scenario.network, scenario.seed, scenario.duration_ns)
    assert [(node.id, node.kind, node.role, node.options) for node in again.nodes] == [
        (node.id, node.kind, node.role, node.options) for node in scenario.nodes
    ]


def test_the_command_line_overrides(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text(WHOLE)
    scenario = load_scenario(
        path, registry=REGISTRY, overrides=[("nodes.s1.interval_ms", "100"), ("duration_sec", "9")], seed=7
    )
    assert (scenario.seed, scenario.duration_ns) == (7, 9_000_000_000)
    assert options(scenario, "s1")["settings"]["period"] == "100ms"
    with pytest.raises(ScenarioError, match="unknown key 'colour'"):
        load_scenario(path, registry=REGISTRY, overrides=[("colour", "red")])


# What is told of.


def test_unknown_keys_are_warned_of_with_their_place() -> None:
    text = WHOLE.replace("{type: cloud}", "{type: cloud, colour: red}").replace("seed:", "sead: 1\nseed:")
    text = text.replace("{type: direct}", "{type: direct, default_latency_ms: 3, shape: round}")
    told = loaded(text).warnings
    assert [text.partition(" (")[0] for text in told] == [
        f"{FILE}:2:1: unknown key 'sead' is ignored",
        f"{FILE}:9:20: unknown key 'colour' is ignored",
        f"{FILE}:10:25: default_latency_ms is ignored: the network is direct",
        f"{FILE}:10:48: unknown key 'shape' is ignored",
    ]


def test_two_durations() -> None:
    (told,) = loaded(WHOLE + "duration_s: 9\n").warnings
    assert "duration_s is ignored" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duration_sec: 0\nnodes: {s: }", "1:15: duration_sec: expected a number of more than 0, seen 0"),
        ("duration_sec: soon\nnodes: {s: }", "1:15: duration_sec: expected a number of more than 0, seen 'soon'"),
        ("duration_sec: .inf\nnodes: {s: }", "1:15: duration_sec: expected a number of more than 0, seen .inf"),
        ("duration_sec: true\nnodes: {s: }", "1:15: duration_sec: expected a number of more than 0, seen true"),
        ("duration_sec: 1\nseed: -1\nnodes: {s: }", "2:7: seed: expected at least 0, seen -1"),
        ("duration_sec: 1\ntime_quantum_us: 0\nnodes: {s: }", "2:18: time_quantum_us: expected a number of more"),
        ("duration_sec: 1\nnodes: [s]", "2:8: nodes: expected a mapping of node ids, seen a list"),
        ("duration_sec: 1\nnodes: {}", "2:8: nodes: expected at least one node"),
        ("duration_sec: 1", "missing key 'nodes'"),
        (with_nodes("s: 3"), "3:6: s: expected a mapping, seen 3"),
        (with_nodes("s: {type: senser}"), "3:13: type: no backend is called 'senser'"),
        (with_nodes("s: {type: [1]}"), "3:13: type: expected a type of node such as sensor or docker, seen a list"),
        (with_nodes("s: {interval_ms: -1}"), "3:20: interval_ms: expected a number of more than 0, seen -1"),
        (with_nodes("s: {settings: {colour: red}}"), "3:26: colour: unknown setting"),
        (with_nodes("d: {type: docker}"), "expected either `image` or `build`"),
        (with_nodes("d: {type: docker, image: 'x:1', ports: [0]}"), "expected HOST:CONTAINER"),
        (with_nodes("d: {type: docker, image: 'x:1', volumes: [3]}"), "volumes"),
        (with_nodes("d: {type: docker, image: 'x:1', networks: back}"), "networks: expected a list of names"),
        (with_nodes("s: {}", network="{type: mesh}"), "4:17: type: expected direct or latency, seen 'mesh'"),
        (with_nodes("s: {}", network="{type: latency, default_latency_ms: -1}"), "latency_ms: expected a number"),
        (with_nodes("s: {}", network="{type: latency, links: {}}"), "links: expected a list, seen a mapping"),
        (with_nodes("s: {}", "t: {}", network="{type: latency, links: [{from: s}]}"), "a link needs its two ends"),
        (
            with_nodes("s: {}", "t: {}", network="{type: latency, links: [{from: s, to: x}]}"),
            "between: no node is called 'x'",
        ),
        (
            with_nodes(*(f"s{n}: {{}}" for n in range(33)), network="{type: latency, links: [{from: s1, to: s2}]}"),
            "links: latencies of single links are possible between up to 32 nodes, not 33",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, expected: str) -> None:
    found = problems_of(text)
    assert any(expected in problem for problem in found), found


def test_all_problems_are_told_at_once() -> None:
    text = (
        WHOLE.replace("5\n", "soon\n", 1).replace("20000", "never").replace("direct", "round").replace("250", "often")
    )
    places = [problem.split(": ")[0] for problem in problems_of(text)]
    assert places == [f"{FILE}:1:15", f"{FILE}:3:18", f"{FILE}:5:55", f"{FILE}:9:17"]


# How it is told from other formats.


def test_other_formats_are_not_mistaken_for_it() -> None:
    assert loaded("swarmrig: 1\nnodes: {a: {kind: python, model: sensor, settings: {to: a}}}").dialect == "native"
    assert loaded("swarm: {name: x, duration_s: 5}\nnodes: [{role: coordinator}]").dialect == "swarm"
    for text in ("nodes: {a: {}}", "nodes: {a: {}}\nnetwork: {topology: mesh}"):
        assert "not a scenario" in problems_of(text)[0]


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["docker", "direct", "latency", "x", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "nodes", "network", "links", "from", "to", "sensors", "ports", "build", "volumes",
                         "environment", "ml_inference", "placement", "settings", "command", "networks", "a"]),
        inner, max_size=4,
    ),
    max_leaves=20,
))  # fmt: skip
def test_whatever_stands_there_is_a_scenario_or_a_list_of_problems(value: Any) -> None:
    import json

    text = json.dumps({"duration_sec": 1, **(value if isinstance(value, dict) else {"nodes": value})})
    try:
        loaded(text)
    except ScenarioError as error:
        assert error.problems
