"""What carries the frames of a run: the scenario's network mode, in real or in virtual time."""

from __future__ import annotations

from dataclasses import replace

from swarmrig.model.network import PortKind
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.net import modes
from swarmrig.net.modes import Wires
from swarmrig.timebase.fabric import open_virtual_fabric

LOCKSTEP = replace(modes.FABRIC, open=open_virtual_fabric, ports=frozenset({PortKind.LOCKSTEP, PortKind.PYTHON}))


def wires_of(scenario: Scenario) -> Wires:
    """The fabric in lockstep when time is virtual, else what the network mode stands for."""
    return LOCKSTEP if scenario.time is TimeMode.VIRTUAL else modes.wires_of(scenario)
