"""The native format: what a file says is what the model holds, and what is wrong is said in words of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.network import GilbertElliott, Impairment
from swarmrig.model.scenario import FaultSpec, NetworkMode, Role, SourceRef, TimeMode, Topology

FULL = """\
swarmrig: 1
name: two-rooms
duration: 90s
seed: 7
time: virtual
aggregator_port: 6000
network:
  topology: star
  hub: coord
  link: {latency: 10ms, jitter: 1ms, loss: 0.5%, burst: {to_bad: 1%, to_good: 0.5, bad_loss: 90%}}
  links:
    - {between: [s2, coord], rate: 250kbit, queue: 64KiB, loss: 0, duplicate: 1%, reorder: 2%, corrupt: 3%}
defaults: {machine: refnode-rv32, memory: 32, config: {channel: 11, fall_thresh: 9000}}
nodes:
  coord: {role: coordinator, is_gateway: true, config: {edge_tier: 2}}
  s1:    {role: sensor, number: 9, config: {scenario: 2, tdm_slot: 1, filter_mac: aa-bb-cc-dd-ee-ff}}
  s2:
    memory: 64
    boot_within: 2s
    config: {channel: 36, chan_list: [1, 6, 11], wasm_pubkey: "KEY"}
  py: {kind: python, factory: "a:b"}
faults:
  - {at: 20s, cut: {between: [coord, s1], for: 5s}}
  - {at: 1m, pause: s2}
checks:
  - all_nodes_boot
  - frame_rate_above: 15
  - fall_detected_by_node_9
  - console: {node: s1, matches: "edge tier", within: 2s}
""".replace("KEY", "00112233445566778899aabbccddeeff" * 2)


def problems_of(load: Any, text: str, **options: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(text, **options)
    return [str(problem) for problem in caught.value.problems]


def with_nodes(text: str, nodes: str = "nodes: {a: {role: coordinator}, b: , c: }") -> str:
    return f"swarmrig: 1\n{nodes}\n{text}\n"


def test_a_full_file_becomes_the_model(load: Any) -> None:
    scenario = load(FULL)
    assert (scenario.name, scenario.duration_ns, scenario.seed) == ("two-rooms", 90_000_000_000, 7)
    assert (scenario.time, scenario.aggregator_port, scenario.dialect) == (TimeMode.VIRTUAL, 6000, "native")
    assert scenario.source == "t.yml"
    assert scenario.warnings == ()
    network = scenario.network
    assert (network.topology, network.hub, network.mode) == (Topology.STAR, "coord", NetworkMode.FABRIC)
    burst = GilbertElliott(0.01, 0.5, 0.0, 0.9)
    common = Impairment(latency_ns=10_000_000, jitter_ns=1_000_000, loss=0.005, burst=burst)
    assert network.impairment == common
    [link] = network.links
    assert link.between == ("s2", "coord")
    assert link.source == SourceRef("t.yml", 12, 7)
    assert link.impairment == Impairment(
        latency_ns=10_000_000, jitter_ns=1_000_000, loss=0.0, burst=burst, duplicate=0.01, reorder=0.02, corrupt=0.03,
        rate_bps=250_000, queue_bytes=65536,
    )  # fmt: skip


def test_nodes_take_defaults_and_their_own_settings(load: Any) -> None:
    coord, s1, s2, py = load(FULL).nodes
    assert (coord.id, coord.number, coord.role, coord.gateway) == ("coord", 0, Role.COORDINATOR, True)
    assert (coord.edge_tier, coord.channel, coord.tdm_slot, coord.nvs) == (2, 11, 0, {"fall_thresh": 9000})
    assert coord.options["memory"] == 32
    assert coord.source == SourceRef("t.yml", 15, 3)
    assert (s1.number, s1.scenario, s1.tdm_slot, s1.edge_tier) == (9, 2, 1, None)
    assert s1.filter_mac == "AA:BB:CC:DD:EE:FF"
    assert (s2.role, s2.number, s2.channel, s2.tdm_slot) == (Role.SENSOR, 2, 36, 2)
    assert s2.options == {"memory": 64, "machine_binary": None, "arguments": (), "boot_within": 2_000_000_000}
    assert s2.nvs["chan_list"] == b"\x01\x06\x0b"
    assert len(s2.nvs["wasm_pubkey"]) == 32
    assert py.kind == "python"
    assert py.options == {"factory": "a:b"}
    assert py.nvs == {"fall_thresh": 9000}, "config holds across kinds, machine options do not"


def test_faults_and_checks_are_read_with_their_own_models(load: Any) -> None:
    scenario = load(FULL)
    cut, pause = scenario.faults
    assert cut == FaultSpec(
        "cut-1", "cut", 20_000_000_000, 5_000_000_000, {"between": ("coord", "s1")}, SourceRef("t.yml", 23, 15)
    )
    assert (pause.id, pause.for_ns, pause.params) == ("pause-2", None, {"node": "s2"})
    boot, rate, fall, console = scenario.checks
    assert (boot.name, boot.label, boot.params) == ("all_nodes_boot", "all_nodes_boot", {})
    assert rate.params == {"hz": 15.0}
    assert (fall.name, fall.label, fall.params["node"]) == ("fall_detected_by_node", "fall_detected_by_node_9", 9)
    assert console.params["within"] == 2_000_000_000
    assert console.source == SourceRef("t.yml", 29, 5)


def test_the_least_file(load: Any) -> None:
    scenario = load("swarmrig: 1\nnodes: {a: }\n")
    [node] = scenario.nodes
    assert (scenario.name, scenario.duration_ns, scenario.seed, scenario.time) == ("t", 60 * 10**9, 0, TimeMode.AUTO)
    assert (scenario.network.topology, scenario.network.hub, scenario.aggregator_port) == (Topology.MESH, None, 5005)
    assert (node.kind, node.machine, node.role, node.channel) == ("qemu", "refnode-rv32", Role.SENSOR, 6)
    assert node.edge_tier is None


@pytest.mark.parametrize("time", TimeMode)
def test_the_clock_of_the_caller_wins(load: Any, time: TimeMode) -> None:
    for text in ("swarmrig: 1\nnodes: {a: }\n", "swarmrig: 1\ntime: virtual\nnodes: {a: }\n", "swarm:\nnodes: [{}]\n"):
        assert load(text, time=time).time is time


def test_line_ends_of_other_systems(load: Any) -> None:
    text = "swarmrig: 1{0}nodes:{0}  a: {{}}{0}  b: {{}}{0}"
    for end in ("\r\n", "\r"):
        assert load(text.format(end)).nodes == load(text.format("\n")).nodes


def test_keys_without_a_value_say_nothing(load: Any) -> None:
    text = (
        "swarmrig: 1\nname:\nseed:\nnetwork:\ndefaults:\nfaults:\nchecks:\nnodes: {a: {role: , config: , firmware: }}\n"
    )
    assert load(text).nodes == load("swarmrig: 1\n\n\n\n\n\n\nnodes: {a: }\n").nodes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nam: x", "t.yml:3:1: unknown key 'nam' (did you mean 'name'?)"),
        ("check: []", "t.yml:3:1: unknown key 'check' (did you mean 'checks'?)"),
        ("assertions: []", "unknown key 'assertions' (did you mean 'checks'?)"),
        ("name: ../../etc", "t.yml:3:7: name: expected a name that is safe in paths"),
        ('name: "a\\nb"', "seen 'a\\nb'"),
        ("name: .hidden", "no leading '.'"),
        ("name: 5", "name: expected a text, seen 5 (put it in quotes"),
        ("name: [a]", "t.yml:3:7: name: expected a text, seen a list"),
        ("duration: 5 parsecs", "t.yml:3:11: duration: unknown unit 'parsecs'"),
        ("duration: 0", "duration: expected more than 0, seen 0"),
        ("duration: -1s", "duration: expected a duration such as 50ms"),
        ("duration: 31000h", "not that large"),
        (f"duration: '{'9' * 400}h'", "not that large"),
        ("duration: .nan", "duration: expected a duration"),
        ("duration: true", "duration: expected a duration such as 50ms, 1.5s or 2m, seen true"),
        ("seed: 1.5", "seed: expected a whole number, seen 1.5"),
        ("seed: -1", "seed: expected at least 0, seen -1"),
        ("seed: '1'", "seed: expected a whole number, seen '1'"),
        ("seed: true", "seed: expected a whole number, seen true"),
        ("time: fake", "time: expected one of auto, real, virtual, paced, seen 'fake'"),
        ("aggregator_port: 0", "aggregator_port: expected at least 1, seen 0"),
        ("aggregator_port: 65536", "aggregator_port: expected at most 65535"),
        ("matrix: {seed: [1, 2]}", "t.yml:3:1: matrix: one file that makes many runs is not yet supported"),
        ("network: star", "t.yml:3:10: network: expected a mapping, seen 'star'"),
        ("faults: {}", "faults: expected a list, seen a mapping"),
        ("checks: all_nodes_boot", "checks: expected a list, seen 'all_nodes_boot'"),
        ("defaults: [1]", "defaults: expected a mapping, seen a list"),
    ],
)  # fmt: skip
def test_wrong_headers_are_explained(load: Any, text: str, expected: str) -> None:
    found = problems_of(load, with_nodes(text))
    assert expected in found[0]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("swarmrig: 2\nnodes: {a: }", "t.yml:1:11: swarmrig: expected 1, the version of the format, seen 2"),
        ("swarmrig: '1'\nnodes: {a: }", "seen '1'"),
        ("swarmrig: 1", "t.yml:1:1: missing key 'nodes'"),
        ("swarmrig: 1\nnodes: {}", "t.yml:2:8: nodes: expected at least one node"),
        ("swarmrig: 1\nnodes:", "nodes: expected a mapping of node ids, seen nothing"),
        ("swarmrig: 1\nnodes: [a]", "nodes: expected a mapping of node ids, seen a list"),
        ("swarmrg: 1\nnodes: {a: }", "t.yml:1:1: not a scenario"),
        ("swarmrg: 1\nnodes: {a: }", "did you mean 'swarmrig' instead of 'swarmrg'?"),
        ("- a", "t.yml:1:1: expected a mapping with `swarmrig: 1`, seen a list"),
        ("hello", "seen 'hello'"),
        ("", "t.yml: is empty"),
        ("# nothing\n", "t.yml: is empty"),
        ("swarm: {}\nswarmrig: 1\nnodes: {a: }", "t.yml:1:1: unknown key 'swarm'"),
    ],
)  # fmt: skip
def test_what_is_no_scenario_is_told_so(load: Any, text: str, expected: str) -> None:
    assert expected in problems_of(load, text)[0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{rol: sensor}", "unknown key 'rol' (did you mean 'role'?)"),
        ("{node_id: 3}", "unknown key 'node_id' (did you mean 'number'?)"),
        ("{memry: 3}", "unknown key 'memry' (did you mean 'memory'?)"),
        ("{memory: big}", "memory: expected a whole number, seen 'big'"),
        ("{memory: 0}", "memory: expected at least 1"),
        ("{arguments: [1]}", "expected a text, seen 1"),
        ("{role: boss}", "role: expected one of sensor, coordinator, gateway, seen 'boss'"),
        ("{role: [sensor]}", "role: expected one of"),
        ("{number: 256}", "number: expected at most 255, seen 256"),
        ("{number: one}", "number: expected a whole number"),
        ("{is_gateway: yes}", "is_gateway: expected true or false, seen 'yes'"),
        ("{kind: qemuu}", "kind: no backend is called 'qemuu' (did you mean 'qemu'?)"),
        ("{kind: 5}", "kind: expected a text, seen 5"),
        ("{kind: python}", "missing key 'factory'"),
        ("{kind: python, factory: a, memory: 3}", "unknown key 'memory'"),
        ("{config: {chanel: 3}}", "unknown key 'chanel' (did you mean 'channel'?)"),
        ("{config: {channel: 15}}", "channel: expected a channel in 1..14 or 36..177, seen 15"),
        ("{config: {channel: 0}}", "channel: expected a channel"),
        ("{config: {channel: 178}}", "channel: expected a channel"),
        ("{config: {scenario: 10}}", "scenario: expected a mock scenario in 0..9, or 255"),
        ("{config: {edge_tier: 3}}", "edge_tier: expected at most 2"),
        ("{config: {tdm_slot: 256}}", "tdm_slot: expected at most 255"),
        ("{config: {filter_mac: 'aa:bb'}}", "filter_mac: expected a MAC address"),
        ("{config: {filter_mac: 'aa:bb-cc:dd:ee:ff'}}", "filter_mac: expected a MAC address"),
        ("{config: {fall_thresh: 70000}}", "fall_thresh is a whole number in 0..65535 (u16), got 70000"),
        ("{config: {wasm_pubkey: '00'}}", "wasm_pubkey takes exactly 32 bytes, got 1"),
        ("{config: {chan_list: [300]}}", "chan_list is bytes"),
        ("{config: {a_key_of_16_chars: 1}}", "unknown key 'a_key_of_16_chars': NVS keys have at most 15 characters"),
        ("{config: {node_id: 1}}", "node_id: is not set here but by the node's `number`"),
        ("{config: {csi_channel: 1}}", "csi_channel: is not set here but by `channel`"),
        ("{config: 5}", "config: expected a mapping, seen 5"),
        ("[]", "expected a mapping, seen a list"),
        ("text", "expected a mapping, seen 'text'"),
    ],
)  # fmt: skip
def test_wrong_nodes_are_explained(load: Any, body: str, expected: str) -> None:
    found = problems_of(load, f"swarmrig: 1\nnodes:\n  a: {body}\n")
    assert expected in found[0]
    assert found[0].startswith("t.yml:3:")
    assert len(found) == 1


@pytest.mark.parametrize(
    "node_id", ["../x", '"a\\nb"', "0", "a--b", "a.b", "aggregator", "lan", "services", '""', "a b", "x" * 33]
)
def test_ids_that_are_not_safe_are_refused(load: Any, node_id: str) -> None:
    [found] = problems_of(load, f"swarmrig: 1\nnodes:\n  {node_id}: {{}}\n")
    assert found.startswith("t.yml:3:3: node ")


def test_numbers_are_unique_and_bytes(load: Any) -> None:
    text = "swarmrig: 1\nnodes:\n  a: {number: 1}\n  b: {}\n  c: {number: 1}\n"
    assert problems_of(load, text) == [
        "t.yml:4:3: 1 is the number of two nodes, a and b (without `number`, a node's position is its number)",
        "t.yml:5:7: number: 1 is the number of two nodes, a and c",
    ]
    many = "swarmrig: 1\nnodes:\n" + "".join(f"  n{n}: {{}}\n" for n in range(256))
    assert [node.number for node in load(many).nodes] == list(range(256))
    [found] = problems_of(load, many + "  one_more: {}\n")
    assert "one_more would have the number 256, at most 255" in found
    assert "one byte" in found


def test_ten_thousand_nodes_are_refused_with_the_reason(load: Any) -> None:
    [found] = problems_of(load, "swarmrig: 1\nnodes:\n" + "".join(f"  n{n}: {{}}\n" for n in range(10_000)))
    assert "n256 would have the number 256, at most 255" in found


def test_defaults_are_checked_and_reported_once(load: Any) -> None:
    text = "swarmrig: 1\ndefaults: {memry: 1, number: 3, config: {channel: 99999}, role: bos}\nnodes: {a: , b: , c: }\n"
    found = problems_of(load, text)
    assert len(found) == 4
    assert all(text.startswith("t.yml:2:") for text in found)
    [huge] = problems_of(load, f"swarmrig: 1\ndefaults: {{x: [{','.join('1' * 2000)}]}}\nnodes: {{a: }}\n")
    assert "defaults: more than 1000 values" in huge


def test_a_backend_that_takes_anything_gets_it(load: Any) -> None:
    [node] = load("swarmrig: 1\nnodes: {a: {kind: open, colour: [red, 1]}}\n").nodes
    assert node.options == {"colour": ["red", 1]}


def test_paths_in_options_are_relative_to_the_file_and_programs_are_not(load: Any) -> None:
    text = "swarmrig: 1\nnodes: {a: {machine_binary: ./qemu}, b: {machine_binary: qemu-system-arm}}\n"
    a, b = load(text, directory=Path("/somewhere")).nodes
    assert a.options["machine_binary"] == Path("/somewhere/qemu")
    assert b.options["machine_binary"] == Path("qemu-system-arm")


def test_all_layers_report_together(load: Any) -> None:
    text = """\
swarmrig: 1
name: a/b
name: c
nodes:
  a: {role: coordinater}
  b: {config: {channel: 20}}
network: {topology: line, links: [{between: [a, x]}]}
faults: [{at: 90s, cut: {between: [a, b]}}]
checks: [all_nodes_bot]
"""
    found = problems_of(load, text)
    assert [line.split(":")[1] for line in found] == ["2", "3", "5", "6", "7", "8", "9"]
