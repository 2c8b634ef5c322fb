"""A test rig for swarms of emulated devices.

What is meant for users of the package is imported when it is first used: `import swarmrig` alone costs nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarmrig.integrations.session import Swarm, open_swarm
    from swarmrig.programmatic import RunResult, run, run_async

__version__ = "0.1.0"
__all__ = ["RunResult", "Swarm", "__version__", "open_swarm", "run", "run_async"]

_HOMES = {
    "RunResult": "programmatic",
    "Swarm": "integrations.session",
    "open_swarm": "integrations.session",
    "run": "programmatic",
    "run_async": "programmatic",
}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
