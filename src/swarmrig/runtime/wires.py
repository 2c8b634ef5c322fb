"""What carries the frames of a run: the scenario's network mode, in real, virtual or paced time."""

from __future__ import annotations

from dataclasses import replace

from swarmrig.model.network import PortKind
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.net import modes
from swarmrig.net.modes import Wires
from swarmrig.timebase.fabric import open_virtual_fabric
from swarmrig.timebase.paced_fabric import open_paced_fabric

LOCKSTEP = replace(modes.FABRIC, open=open_virtual_fabric, ports=frozenset({PortKind.LOCKSTEP, PortKind.PYTHON}))
PACED = replace(modes.FABRIC, open=open_paced_fabric, ports=modes.FABRIC.ports | {PortKind.LOCKSTEP})
_BY_TIME = {TimeMode.VIRTUAL: LOCKSTEP, TimeMode.PACED: PACED}


def wires_of(scenario: Scenario) -> Wires:
    """The fabric in lockstep when time is virtual or paced, else what the network mode stands for."""
    return _BY_TIME.get(scenario.time) or modes.wires_of(scenario)
