"""What a plugin author sees: protocols for nodes, faults and checks, and the values they exchange."""

from swarmrig.api.checks import Check, CheckContext
from swarmrig.api.faults import Fault, FaultContext, LinkControl
from swarmrig.api.nodes import (
    CanKill,
    CanPause,
    CanReset,
    ExitStatus,
    HasConsole,
    HasMemory,
    LaunchContext,
    Node,
    NodeBackend,
    NodePlan,
)
from swarmrig.api.steppable import SteppableNode, StepResult

__all__ = [
    "CanKill",
    "CanPause",
    "CanReset",
    "Check",
    "CheckContext",
    "ExitStatus",
    "Fault",
    "FaultContext",
    "HasConsole",
    "HasMemory",
    "LaunchContext",
    "LinkControl",
    "Node",
    "NodeBackend",
    "NodePlan",
    "StepResult",
    "SteppableNode",
]
