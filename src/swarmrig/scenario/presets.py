"""The scenarios that come with the package: files in the swarm dialect, or the native one, in `presets/`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from swarmrig.model.scenario import Scenario, Topology
from swarmrig.plugins import Registry

_ORDER = ("smoke", "standard", "large-mesh", "line-relay", "ring-fault", "heterogeneous", "ci-matrix", "chaos")


@dataclass(frozen=True, slots=True)
class Preset:
    """What `swarmrig presets` shows."""

    name: str
    description: str
    nodes: int
    topology: Topology
    duration_ns: int


def preset_names() -> tuple[str, ...]:
    return _ORDER


def find_preset(name: str) -> str | None:
    """The preset's own name; `-` and `_` are the same in what is given."""
    wanted = name.replace("_", "-")
    return wanted if wanted in _ORDER else None


def preset_text(name: str) -> str:
    """The file of a preset, by its own name."""
    return files("swarmrig.scenario").joinpath("presets", f"{name}.yml").read_text("utf-8")


def list_presets(registry: Registry) -> tuple[Preset, ...]:
    """All presets, in the order in which one gets to know them."""
    from swarmrig.scenario.load import load_scenario

    return tuple(_describe(name, load_scenario(name, registry=registry)) for name in _ORDER)


def _describe(name: str, scenario: Scenario) -> Preset:
    first = preset_text(name).split("\n", 1)[0]
    return Preset(
        name=name,
        description=first.removeprefix("#").strip(),
        nodes=len(scenario.nodes),
        topology=scenario.network.topology,
        duration_ns=scenario.duration_ns,
    )
