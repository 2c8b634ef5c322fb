"""As much of a plan as needs no emulator on this host."""

from __future__ import annotations

from swarmrig.api import NodePlan
from swarmrig.errors import Problem, ScenarioError
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.net.topology import plan_network
from swarmrig.plugins import Registry


def bare_network(scenario: Scenario) -> NetworkPlan:
    """The network that a run would have: addresses and links do not depend on what the nodes execute."""
    return plan_network(scenario, [NodePlan(spec, command=()) for spec in scenario.nodes])


def check_wiring(scenario: Scenario, registry: Registry) -> None:
    """Lay out the network and see that it has what the faults name. ScenarioError has every problem."""
    network = bare_network(scenario)
    problems = []
    for spec in scenario.faults:
        try:
            registry.fault(spec.kind).resolve(spec, scenario, network)
        except ValueError as error:
            message = f"fault {spec.kind}: {error}"
            place = spec.source
            problems.append(Problem(message, place.file, place.line, place.column) if place else Problem(message))
    if problems:
        raise ScenarioError(problems)
