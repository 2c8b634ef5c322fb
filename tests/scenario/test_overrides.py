"""`--set`, and the options that change every file."""

from __future__ import annotations

from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.scenario.load import load_scenario

NATIVE = """\
swarmrig: 1
defaults: &common {machine: m}
network: {link: {latency: 1ms}}
nodes:
  a: {config: &shared {channel: 1}}
  b: {config: *shared}
faults: [{at: 5s, cut: {between: [a, b], for: 1s}}]
checks: [all_nodes_boot, frame_rate_above: 15]
"""


def changed(load: Any, *pairs: str, text: str = NATIVE) -> Any:
    return load(text, overrides=[tuple(pair.split("=", 1)) for pair in pairs])


def problems_of(load: Any, *pairs: str, text: str = NATIVE) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        changed(load, *pairs, text=text)
    return [str(problem) for problem in caught.value.problems]


def test_values_are_set_by_path(load: Any) -> None:
    scenario = changed(
        load, "nodes.a.config.channel=11", "network.link.loss=2%", "duration=2m", "checks.1.frame_rate_above=3",
        "faults.0.cut.for=2s", "seed=9", "nodes.a.config.edge_tier=1", "name=x",
    )  # fmt: skip
    assert [node.channel for node in scenario.nodes] == [11, 1], "b shares the anchor, not the change"
    assert scenario.nodes[0].edge_tier == 1
    assert (scenario.network.impairment.loss, scenario.network.impairment.latency_ns) == (0.02, 10**6)
    assert (scenario.duration_ns, scenario.seed, scenario.name) == (120 * 10**9, 9, "x")
    assert scenario.checks[1].params == {"hz": 3.0}
    assert scenario.faults[0].for_ns == 2 * 10**9


def test_values_are_yaml(load: Any) -> None:
    assert changed(load, "checks=[no_crashes]").checks[0].name == "no_crashes"
    assert changed(load, "checks=").checks == ()
    assert changed(load, "checks.0={frame_rate_above: 2}").checks[0].params == {"hz": 2.0}
    assert changed(load, "nodes.a.role=gateway").nodes[0].gateway
    assert changed(load, "nodes.a.firmware.variant=mute").nodes[0].firmware.variant == "mute"


def test_the_last_of_two_wins(load: Any) -> None:
    assert changed(load, "seed=1", "seed=2").seed == 2


def test_lists_of_the_swarm_dialect_have_indexes(load: Any) -> None:
    text = "swarm: {}\nnodes: [{role: coordinator}, {role: sensor}]\n"
    scenario = changed(load, "nodes.1.scenario=3", "swarm.duration_s=9", text=text)
    assert (scenario.nodes[1].scenario, scenario.duration_ns) == (3, 9 * 10**9)
    assert problems_of(load, "nodes.1.scenaro=3", text=text) == [
        "--set nodes.1.scenaro=3: unknown key 'scenaro' (did you mean 'scenario'?)"
    ], "an unknown key warns in a foreign file, but on the command line it is a mistake"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("nodes.a.config.channel=20", ": channel: expected a channel in 1..14 or 36..177, seen 20"),
        ("nodes.aa.config.channel=1", ": nodes has no 'aa' (did you mean 'a'?)"),
        ("nodes.zz=1", ": nodes has no 'zz' (known: a, b)"),
        ("nam=1", ": unknown key 'nam' (did you mean 'name'?)"),
        ("networ.link.loss=1%", ": unknown key 'networ' (did you mean 'network'?)"),
        ("checks.7=x", ": checks is a list and has no '7' (indexes: 0, 1)"),
        ("checks.-1=x", ": checks is a list and has no '-1'"),
        ("checks.first=x", ": checks is a list and has no 'first'"),
        ("checks.0.x.y=1", ": checks.0 is 'all_nodes_boot', it has no 'x'"),
        ("seed.x=1", ": unknown key"),
        ("a..b=1", ": expected keys and indexes with dots between, seen 'a..b'"),
        (".=1", ": expected keys and indexes"),
        ("seed=[", ": not valid YAML"),
        ("seed=*x", ": the alias *x has no anchor before it"),
        ("seed=!!python/none 3", ": the tag '!!python/none' is not allowed"),
        ("seed=" + "[" * 100, ": nested deeper than"),
    ],
)  # fmt: skip
def test_mistakes_name_the_option(load: Any, pair: str, expected: str) -> None:
    found = problems_of(load, pair)
    if pair == "seed.x=1":
        assert "--set seed.x=1" in found[0]
        return
    assert found[0].startswith(f"--set {pair}"[:60])
    assert expected in found[0]
    assert len(found) == 1


def test_seed_and_duration_have_options_of_their_own(load: Any) -> None:
    scenario = load(NATIVE, seed=42, duration_ns=7_500_000_000)
    assert (scenario.seed, scenario.duration_ns) == (42, 7_500_000_000)
    text = "swarm: {duration_s: 60}\nnodes: [{}]\n"
    assert load(text, duration_ns=10**9).duration_ns == 10**9
    with pytest.raises(ScenarioError, match=r"--seed -1: seed: expected at least 0"):
        load(NATIVE, seed=-1)


def test_a_run_too_short_for_its_fault_is_refused(load: Any, registry: Any) -> None:
    with pytest.raises(ScenarioError, match=r"preset ring-fault:14:35: for: the fault would heal at 35s, not within"):
        load_scenario("ring-fault", registry=registry, duration_ns=30 * 10**9)
    with pytest.raises(ScenarioError, match="at: 5s is not within the run of 5s"):
        load(NATIVE, duration_ns=5 * 10**9)


def test_machine_and_emulator_hold_for_every_node(registry: Any, tmp_path: Any) -> None:
    base = tmp_path / "base.bin"
    base.write_bytes(b"\xff" * 64)
    scenario = load_scenario(
        "standard", registry=registry, machine="esp32s3", flash_base=base, qemu_path=tmp_path / "bin" / "qemu"
    )
    assert {node.machine for node in scenario.nodes} == {"esp32s3"}
    assert {node.firmware.flash_base for node in scenario.nodes} == {base}
    assert {node.options["machine_binary"] for node in scenario.nodes} == {tmp_path / "bin" / "qemu"}
