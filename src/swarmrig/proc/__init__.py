"""The one door for programs: spawn, supervise, guard, journal, clean.

Names are resolved lazily: the guardian imports modules of this package and must start in milliseconds.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarmrig.proc.failures import LeftoverError, SpawnError
    from swarmrig.proc.private import private_directory
    from swarmrig.proc.process import Process, StopLadder, wait_until_ready
    from swarmrig.proc.scope import RunScope
    from swarmrig.proc.spawner import Completed, Spawner, open_spawner

_HOMES = {
    "Completed": "spawner",
    "LeftoverError": "failures",
    "Process": "process",
    "RunScope": "scope",
    "SpawnError": "failures",
    "Spawner": "spawner",
    "StopLadder": "process",
    "open_spawner": "spawner",
    "private_directory": "private",
    "wait_until_ready": "process",
}

__all__ = [
    "Completed",
    "LeftoverError",
    "Process",
    "RunScope",
    "SpawnError",
    "Spawner",
    "StopLadder",
    "open_spawner",
    "private_directory",
    "wait_until_ready",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
