"""The network of a scenario without asking this host for emulators."""

from __future__ import annotations

from swarmrig.api import NodePlan
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.net.topology import plan_network


def bare_network(scenario: Scenario) -> NetworkPlan:
    """The network that a run would have: addresses and links do not depend on what the nodes execute."""
    return plan_network(scenario, [NodePlan(spec, command=()) for spec in scenario.nodes])
