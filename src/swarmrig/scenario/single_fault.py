"""One fault that no file names: its parameters are read and checked as those of a file are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.schedule import read_faults
from swarmrig.scenario.tree import located

_LONGEST_NS = 1 << 61


def fault_now(
    kind: str, params: Mapping[str, Any], *, name: str, at_ns: int, scenario: Scenario, registry: Registry
) -> FaultSpec:
    """The fault `kind` with these parameters, at `at_ns` of run time. ScenarioError with everything that is wrong."""
    problems = Problems()
    fleet = Fleet(scenario.nodes, tuple(node.id for node in scenario.nodes))
    item = {"at": "0s", "id": name, kind: dict(params)}
    specs = read_faults(located([item], Mark(f"inject {kind}")), fleet, _LONGEST_NS, scenario.seed, registry, problems)
    problems.raise_any()
    (spec,) = specs
    return replace(spec, at_ns=at_ns)
