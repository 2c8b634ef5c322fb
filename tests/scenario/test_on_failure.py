"""`on_failure` of a node: its forms, its mistakes, and how it is written back."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import FailurePolicy, OnFailure, Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.scenario.schema import scenario_schema

REGISTRY = Registry.load()


def loaded(value: str, defaults: str = "") -> Scenario:
    text = f"swarmrig: 1\n{defaults}nodes:\n  a: {value}\n"
    return load_text(text, Origin("file.yml", Path("/nowhere"), "file"), registry=REGISTRY)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{}", OnFailure()),
        ("{on_failure: fail}", OnFailure()),
        ("{on_failure: ignore}", OnFailure(FailurePolicy.IGNORE)),
        ("{on_failure: restart}", OnFailure(FailurePolicy.RESTART)),
        (
            "{on_failure: {policy: restart, after: 50ms, factor: 1, at_most: 1s, limit: 9}}",
            OnFailure(FailurePolicy.RESTART, 50_000_000, 1.0, 1_000_000_000, 9),
        ),
    ],
)
def test_forms(value: str, expected: OnFailure) -> None:
    scenario = loaded(value)
    assert scenario.nodes[0].on_failure == expected
    again = load_text(
        dump_scenario(scenario, REGISTRY), Origin("again.yml", Path("/nowhere"), "again"), registry=REGISTRY
    )
    assert again.nodes[0].on_failure == expected


def test_a_default_holds_for_nodes_of_another_kind() -> None:
    scenario = loaded("{kind: container, image: x}", "defaults: {on_failure: ignore}\n")
    assert scenario.nodes[0].on_failure.policy is FailurePolicy.IGNORE


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{on_failure: retry}", "one of fail, restart, ignore"),
        ("{on_failure: {policy: restart, limit: 0}}", "limit"),
        ("{on_failure: {policy: restart, factor: 0.5}}", "factor"),
        ("{on_failure: {policy: restart, factor: .nan}}", "factor"),
        ("{on_failure: {policy: restart, afte: 1s}}", "unknown key"),
        ("{on_failure: [restart]}", "on_failure"),
        ("{on_failure: 3}", "on_failure"),
    ],
)
def test_mistakes(value: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=r"file\.yml:3") as caught:
        loaded(value)
    assert message in str(caught.value)


def test_the_schema_knows_both_forms() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema(REGISTRY))
    for value in ("fail", "restart", "ignore", {"policy": "restart", "after": "1s", "limit": 2}):
        assert validator.is_valid({"swarmrig": 1, "nodes": {"a": {"on_failure": value}}}), value
    for value in ("retry", {"policy": "retry"}, {"limit": 0}):
        assert not validator.is_valid({"swarmrig": 1, "nodes": {"a": {"on_failure": value}}}), value


def test_back_off_grows_to_its_limit() -> None:
    policy = OnFailure(FailurePolicy.RESTART, after_ns=100, factor=3.0, at_most_ns=1000, limit=4)
    assert [policy.restart_after_ns(restarts) for restarts in range(6)] == [100, 300, 900, 1000, None, None]
    long = OnFailure(FailurePolicy.RESTART, factor=100.0, limit=1000)
    assert long.restart_after_ns(999) == long.at_most_ns


@pytest.mark.parametrize("policy", [FailurePolicy.FAIL, FailurePolicy.IGNORE])
def test_others_do_not_restart(policy: FailurePolicy) -> None:
    assert OnFailure(policy).restart_after_ns(0) is None
