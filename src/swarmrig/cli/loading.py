"""From the words of the command line to a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmrig.cli.options import Choice
from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry


def load(choice: Choice, registry: Registry) -> Scenario:
    """Load and check what was chosen. Raises ScenarioError with all problems at once."""
    from swarmrig.scenario.load import load_scenario

    return load_scenario(
        choice.scenario,
        registry=registry,
        overrides=choice.overrides,
        seed=choice.seed,
        duration_ns=choice.duration_ns,
        machine=choice.machine,
    )


def preset_names() -> tuple[str, ...]:
    """Names of the built-in scenarios."""
    from swarmrig.scenario.presets import preset_names as names

    return tuple(names())


def schema(which: str) -> Mapping[str, Any]:
    """The JSON Schema of `scenario` files or of `results`."""
    from swarmrig.scenario.schema import scenario_schema

    return scenario_schema(Registry.load())
