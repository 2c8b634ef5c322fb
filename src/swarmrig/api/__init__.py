"""What a plugin author sees: protocols for nodes, faults and checks, and the values they exchange.

Names are resolved when they are used: the network process needs `StepResult` alone, and starts while nodes wait for it.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

_HOMES = {
    "CanKill": "nodes",
    "CanPause": "nodes",
    "CanReset": "nodes",
    "Check": "checks",
    "CheckContext": "checks",
    "ExitStatus": "nodes",
    "Fault": "faults",
    "FaultContext": "faults",
    "HasConsole": "nodes",
    "HasMemory": "nodes",
    "LaunchContext": "nodes",
    "LinkControl": "faults",
    "Node": "nodes",
    "NodeBackend": "nodes",
    "NodePlan": "nodes",
    "StepResult": "steppable",
    "SteppableNode": "steppable",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
