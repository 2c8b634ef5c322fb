"""A swarm in the background that a program leads: it lets time pass, types, breaks things, and looks."""

from __future__ import annotations

from swarmrig.integrations.session.errors import NotSeenError, SwarmOverError
from swarmrig.integrations.session.nodes import Dut, Node
from swarmrig.integrations.session.swarm import WITH_FIRMWARE, Injected, Settings, Swarm, load_settled, open_swarm

__all__ = [
    "WITH_FIRMWARE",
    "Dut",
    "Injected",
    "Node",
    "NotSeenError",
    "Settings",
    "Swarm",
    "SwarmOverError",
    "load_settled",
    "open_swarm",
]
