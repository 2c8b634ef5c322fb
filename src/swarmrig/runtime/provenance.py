"""What a run was made of: written beside its results, so that a repetition can tell when something else runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from swarmrig import __version__
from swarmrig.api import LaunchContext, NodePlan

FILE = "provenance.json"
"""{"swarmrig": version, "python": version, "nodes": {id: {what: digest, version or path}}}"""


async def provenance_of(backend: Any, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:
    """What a node's backend says that the node is made of; nothing when it does not say."""
    tell = getattr(backend, "provenance", None)
    if tell is None:
        return {}
    told: Mapping[str, str] = await anyio.to_thread.run_sync(tell, plan, context)
    return told


def write_provenance(directory: Path, nodes: Mapping[str, Mapping[str, str]]) -> None:
    """Write it into a run directory. OSError when that fails."""
    document = {"swarmrig": __version__, "python": platform.python_version(), "nodes": nodes}
    (directory / FILE).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
