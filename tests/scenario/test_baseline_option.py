"""`--baseline`: a comparison for any file; and checks of what is measured, there and back through a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import CheckSpec, Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.baseline import Baseline
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.scenario.resolved import dump_scenario

REGISTRY = Registry.load()
NODES = "swarmrig: 1\nnodes: {hub: {role: coordinator}, s1: , s2: }\n"
SWARM = "swarm: {name: lab}\nnodes:\n  - {role: coordinator}\n  - {role: sensor}\n"


def load(text: str, baseline: Baseline | None = None, directory: str = "/there") -> Scenario:
    origin = Origin(f"{directory}/t.yml", Path(directory), "t")
    return load_text(text, origin, registry=REGISTRY, baseline=baseline)


def comparisons(text: str, baseline: Baseline | None = None) -> list[CheckSpec]:
    return [check for check in load(text, baseline).checks if check.name == "compared_to"]


@pytest.mark.parametrize(
    "text", [NODES, NODES + "checks:\n", NODES + "checks: [no_crashes]\n", SWARM + "assertions: [all_nodes_boot]\n"]
)
def test_a_file_without_comparison_gets_one(text: str) -> None:
    [check] = comparisons(text, Baseline(Path("/runs/a")))
    assert check.params["run"] == "/runs/a"
    assert "nodes.*.*.latency_ns.p95" in check.params["metrics"]
    assert len(load(text, Baseline(Path("/runs/a"))).checks) == len(load(text).checks) + 1


def test_a_relative_run_starts_where_the_user_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    [check] = comparisons(NODES, Baseline(Path("runs/a")))
    assert check.params["run"] == str(tmp_path / "runs/a")


def test_a_run_of_the_file_starts_at_the_file() -> None:
    [check] = comparisons(NODES + "checks: [compared_to: base]\n")
    assert check.params["run"] == "/there/base"


@pytest.mark.parametrize("item", ["compared_to", "compared_to: ", "compared_to: old", "compared_to: {run: old}"])
def test_a_comparison_of_the_file_gets_the_run(item: str) -> None:
    [check] = comparisons(NODES + f"checks: [{item}]\n", Baseline(Path("/runs/a")))
    assert check.params["run"] == "/runs/a"


def test_its_metrics_stay_unless_others_are_given() -> None:
    text = NODES + "checks: [compared_to: {run: old, metrics: {nodes.*.sent: 5%}}]\n"
    [kept] = comparisons(text, Baseline(Path("/runs/a")))
    assert kept.params["metrics"] == {"nodes.*.sent": "5%"}
    [given] = comparisons(text, Baseline(Path("/runs/a"), {"links.*.lost": "3"}))
    assert given.params["metrics"] == {"links.*.lost": "3"}


def test_wrong_tolerances_name_the_option() -> None:
    with pytest.raises(ScenarioError, match=r"--baseline /runs/a: .*nodes.\*.sent: expected a tolerance") as caught:
        load(NODES, Baseline(Path("/runs/a"), {"nodes.*.sent": "lots"}))
    assert len(caught.value.problems) == 1


def test_what_is_no_list_of_checks_is_told_as_always() -> None:
    with pytest.raises(ScenarioError, match="checks: expected a list"):
        load(NODES + "checks: 7\n", Baseline(Path("/runs/a")))


@pytest.mark.parametrize(
    "check",
    [
        "metric: {name: links.*.loss, max: 2.5%}",
        "metric: {name: nodes.s1.hub.latency_ns.p95, min: 1ms, max: 0.02}",
        "metric: {name: nodes.*.rate_hz, min: 19.5}",
        "metric: {name: nodes.s1.boot_ns, max: 1us}",
        "latency: 50ms",
        "latency: {node: s1, to: aggregator, p50: 1500us, max: 1s}",
        "counter: {console: 'free=(\\d+)', nodes: [s1, 2], use: min, min: 3, name: heap}",
        "compared_to: /runs/base",
        "compared_to: {run: base, metrics: {nodes.*.boot_ns: 2ms, links.*.frames: 5, nodes.*.rate_hz: 10%}}",
        "recovers_within: 1500ms",
        "recovers_within: {fault: cut, within: 2s, share: 50%, node: s2}",
        "no_data_loss_after_heal",
        "no_data_loss_after_heal: {settle: 2s, max_lost: 3, to: aggregator}",
        "degrades_gracefully: 75%",
        "degrades_gracefully: {window: 2s, nodes: [s1]}",
        "survives: cut-1",
        "survives: {fault: cut, silence: 5s, nodes: [s1]}",
        "network_partitioned_recovery: {within: 3s, fault: cut-1}",
    ],
)
def test_there_and_back(check: str) -> None:
    faults = "faults: [{at: 5s, cut: {between: [hub, lan], for: 2s}}]\n"
    first = load(NODES + faults + f"checks:\n  - {check}\n")
    again = load(dump_scenario(first, REGISTRY))
    assert [(each.name, each.label, each.params) for each in again.checks] == [
        (each.name, each.label, each.params) for each in first.checks
    ]
