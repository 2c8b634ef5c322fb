"""What a plugin author sees: protocols for nodes, faults and checks, and the values they exchange.

Names are resolved when they are used: the network process needs `StepResult` alone, and starts while nodes wait for it.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarmrig.api.checks import Check, CheckContext
    from swarmrig.api.faults import (
        Fault,
        FaultContext,
        FaultControl,
        FaultSkippedError,
        LinkControl,
        Proof,
        ProofStatus,
    )
    from swarmrig.api.nodes import (
        CanCutPower,
        CanFlash,
        CanKill,
        CanPause,
        CanPowerCycle,
        CanReset,
        CanSnapshot,
        CanStallConsole,
        CanStarve,
        CommandResult,
        ExitStatus,
        HasConsole,
        HasFlash,
        HasMemory,
        HasMonitor,
        HasNmi,
        HasShell,
        LaunchContext,
        MemoryMap,
        Node,
        NodeBackend,
        NodePlan,
        NodeSnapshot,
    )
    from swarmrig.api.steppable import SteppableNode, StepResult

_HOMES = {
    "CanCutPower": "nodes",
    "CanFlash": "nodes",
    "CanKill": "nodes",
    "CanPause": "nodes",
    "CanPowerCycle": "nodes",
    "CanReset": "nodes",
    "CanSnapshot": "nodes",
    "CanStallConsole": "nodes",
    "CanStarve": "nodes",
    "Check": "checks",
    "CheckContext": "checks",
    "CommandResult": "nodes",
    "ExitStatus": "nodes",
    "Fault": "faults",
    "FaultContext": "faults",
    "FaultControl": "faults",
    "FaultSkippedError": "faults",
    "HasConsole": "nodes",
    "HasFlash": "nodes",
    "HasMemory": "nodes",
    "HasMonitor": "nodes",
    "HasNmi": "nodes",
    "HasShell": "nodes",
    "LaunchContext": "nodes",
    "LinkControl": "faults",
    "MemoryMap": "nodes",
    "Node": "nodes",
    "NodeBackend": "nodes",
    "NodePlan": "nodes",
    "NodeSnapshot": "nodes",
    "Proof": "faults",
    "ProofStatus": "faults",
    "StepResult": "steppable",
    "SteppableNode": "steppable",
}

__all__ = [
    "CanCutPower",
    "CanFlash",
    "CanKill",
    "CanPause",
    "CanPowerCycle",
    "CanReset",
    "CanSnapshot",
    "CanStallConsole",
    "CanStarve",
    "Check",
    "CheckContext",
    "CommandResult",
    "ExitStatus",
    "Fault",
    "FaultContext",
    "FaultControl",
    "FaultSkippedError",
    "HasConsole",
    "HasFlash",
    "HasMemory",
    "HasMonitor",
    "HasNmi",
    "HasShell",
    "LaunchContext",
    "LinkControl",
    "MemoryMap",
    "Node",
    "NodeBackend",
    "NodePlan",
    "NodeSnapshot",
    "Proof",
    "ProofStatus",
    "StepResult",
    "SteppableNode",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
