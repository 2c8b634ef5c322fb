"""What decides a run, as one digest: a result with the same key need not be made again.

It is over the scenario as resolved (nothing left to defaults), in which files stand by their content and directories
by where they are relative to the scenario, over the firmware that nodes boot, and over the seed. What runs it (version
of the rig, emulators) is not part of it: that are the inputs of a result, by which results of one key are compared.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarmrig.nodes.digests import sha256_of
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import RunPlan
from swarmrig.scenario.resolved import scenario_dict


def content_of(plan: RunPlan, registry: Registry, here: Path) -> str:
    """Digest (hex) of all that decides the runs of a plan but the seed; `here` is the directory of its scenario. Reads
    the files that it names. HostError when one cannot be read."""
    values = scenario_dict(plan.scenario, registry)
    del values["seed"]
    booted = {node.spec.id: str(node.memory.image) for node in plan.nodes if node.memory.image is not None}
    factories = {node.spec.id: (node.factory or "").partition(":")[0] for node in plan.nodes}
    return _digest(_portable([values, booted, factories], here))


def key_of(content: str, seed: int) -> str:
    """The key of a run with this seed."""
    return _digest([content, seed])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _portable(value: Any, here: Path) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _portable(item, here) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, here) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return _place(Path(value), here)
    return value


def _place(path: Path, here: Path) -> str:
    try:
        if path.is_file():
            return f"sha256:{sha256_of(path)}"
        return os.path.relpath(path, here) if path.exists() else str(path)
    except (OSError, ValueError):  # not a path after all: a text that begins with a slash
        return str(path)
