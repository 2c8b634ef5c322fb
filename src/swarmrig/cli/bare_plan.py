"""As much of a plan as needs no emulator on this host."""

from __future__ import annotations

from swarmrig.api import NodePlan
from swarmrig.errors import ScenarioError
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.net.modes import wires_of
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import plan_wiring


def bare_network(scenario: Scenario) -> NetworkPlan:
    """The network that a run would have: addresses and links do not depend on what the nodes execute."""
    return wires_of(scenario).plan(scenario, [NodePlan(spec, command=()) for spec in scenario.nodes])


def check_wiring(scenario: Scenario, registry: Registry) -> None:
    """Lay out the network and see that it has what faults and checks name. ScenarioError has every problem, and the
    scenario's warnings."""
    try:
        plan_wiring(scenario, bare_network(scenario), registry)
    except ScenarioError as error:
        raise ScenarioError(error.problems, hint=error.hint, warnings=scenario.warnings) from error
