"""A scenario with one node on a configuration of the NVS matrix, and the checks that judge how it boots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from swarmrig.errors import Problem, ScenarioError
from swarmrig.flash.matrix import NvsConfig
from swarmrig.model.scenario import CheckSpec, NodeSpec, Role, Scenario
from swarmrig.plugins import Registry

NAME_LIMIT = 64
BOOTS = ("all_nodes_boot", "no_crashes", "no_heap_errors")
COMPLAINT = r"(?i)nvs\b.*(damaged|corrupt|using defaults)"
"""What firmware says of a partition that it cannot use (refnode: "NVS damaged (...), using defaults")."""
DAMAGE = r"(?i)nvs\b.*(damaged|corrupt)"
_TOLD = {"node_id": "node_id", "tdm_slot": "tdm_slot", "tdm_nodes": "tdm_nodes", "edge_tier": "edge_tier",
         "csi_channel": "channel"}  # fmt: skip
"""Settings that the reference firmware repeats when it boots, by the names that it gives them."""


def node_of_matrix(scenario: Scenario, name: str | None) -> NodeSpec:
    """The node whose settings are varied: the one of this id, else the first sensor, else the first node.
    ScenarioError when there is no such node."""
    if name is None:
        return next((node for node in scenario.nodes if node.role is Role.SENSOR), scenario.nodes[0])
    for node in scenario.nodes:
        if name in (node.id, str(node.number)):
            return node
    known = ", ".join(node.id for node in scenario.nodes)
    raise ScenarioError([Problem(f"{scenario.source} has no node {name!r}", hint=f"its nodes are: {known}")])


def with_nvs_config(scenario: Scenario, node: NodeSpec, config: NvsConfig, registry: Registry) -> Scenario:
    """The scenario without faults and without checks of its own: the node boots with exactly this configuration, and
    what is judged is that all nodes boot, nothing crashes, and the node says what fits the configuration."""
    name = f"{scenario.name[: NAME_LIMIT - len(config.name) - 1]}-{config.name}"
    nodes = tuple(replace(one, nvs_config=config.name) if one.id == node.id else one for one in scenario.nodes)
    checks = tuple(_checks(node, config, registry))
    return replace(scenario, name=name, nodes=nodes, faults=(), checks=checks)


def _checks(node: NodeSpec, config: NvsConfig, registry: Registry) -> Iterator[CheckSpec]:
    for name in BOOTS:
        yield _check(registry, name, name)
    if config.damaged:
        yield _says(registry, "says that NVS is damaged", node, matches=COMPLAINT)
        return
    yield _says(registry, "finds NVS sound", node, absent=DAMAGE)
    if node.firmware.image is not None or node.firmware.flash_base is not None or node.firmware.parts:
        return  # other firmware has words of its own
    for key, told in _TOLD.items():
        if key in config.values:
            said = f"{told}={config.values[key]!s}"
            yield _says(registry, f"says {said}", node, matches=rf"\b{said}\b")


def _says(registry: Registry, label: str, node: NodeSpec, **params: str) -> CheckSpec:
    return _check(registry, "console", f"{node.id} {label}", node=node.id, **params)


def _check(registry: Registry, name: str, label: str, **params: Any) -> CheckSpec:
    values = registry.check(name).params_model.model_validate(params).model_dump()
    return CheckSpec(name, label, values)
