"""A native tree to the scenario model: every section is read, every problem is reported, then it holds or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.expectations import read_checks
from swarmrig.scenario.explain import checked
from swarmrig.scenario.fleet import FleetReader, Forced
from swarmrig.scenario.native import RESERVED, Header, ScenarioFile
from swarmrig.scenario.problems import Problems
from swarmrig.scenario.quantities import safe_name
from swarmrig.scenario.schedule import read_faults
from swarmrig.scenario.tree import Scalar, Table, describe
from swarmrig.scenario.wiring import read_network

_SECTIONS = frozenset({"network", "defaults", "nodes", "faults", "checks"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tree came from."""

    file: str
    """As the user named it."""
    directory: Path
    """What paths in the file are relative to; absolute."""
    default_name: str
    dialect: str = "native"


def build_scenario(
    tree: Table, origin: Origin, registry: Registry, problems: Problems, forced: Forced | None = None
) -> Scenario:
    """The scenario of a tree in the native format. Raises ScenarioError with all problems, earlier ones too."""
    header = _header(tree, problems)
    if "nodes" not in tree.entries:
        problems.add(tree.mark, "missing key 'nodes'", "a scenario has at least one node")
    fleet = FleetReader(registry, origin.directory, problems, forced or Forced()).read(
        tree.get("nodes"), tree.get("defaults")
    )
    network = read_network(tree.get("network"), fleet, problems)
    faults = read_faults(tree.get("faults"), fleet, header.duration, header.seed, registry, problems)
    checks = read_checks(tree.entries.get("checks"), fleet, registry, problems)
    scenario = Scenario(
        name=header.name or safe_name(origin.default_name),
        duration_ns=header.duration,
        seed=header.seed,
        time=header.time,
        network=network,
        nodes=fleet.nodes,
        faults=faults,
        checks=checks,
        aggregator_port=header.aggregator_port,
        dialect=origin.dialect,
        source=origin.file,
        warnings=problems.warnings,
    )
    absent = tuple(sorted({*fleet.ids} - {node.id for node in fleet.sound}))
    problems.raise_any(rest=replace(scenario, nodes=fleet.sound, faults=(), checks=(), absent=absent))
    return scenario


def _header(tree: Table, problems: Problems) -> Header:
    for key in frozenset(RESERVED) & frozenset(tree.entries):
        problems.add(tree.place(key), f"{key}: {RESERVED[key]} is not yet supported")
    version = tree.get("swarmrig")
    own = tree.without(_SECTIONS | frozenset(RESERVED))
    if version is not None and describe(version) != "1":
        problems.add(version.mark, f"swarmrig: expected 1, the version of the format, seen {describe(version)}")
        own = own.with_value("swarmrig", Scalar(1, version.mark, "1"))
    also_known = [key for key in ScenarioFile.model_fields if key in _SECTIONS]
    return checked(Header, own, problems, also_known=also_known) or Header.model_validate({"swarmrig": 1})
