"""From a text to the Python object that it names, and from a device to its node. Standard library only."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from swarmrig.model.network import DevicePlan
from swarmrig.net.directory import NOBODY, Directory


def load_object(reference: str) -> Any:
    """What `package.module:name` or `path/to/file.py:name` names. Raises ValueError for what is no reference,
    LookupError when the module has no such name, and whatever the module raises when it is imported."""
    module, _, name = reference.rpartition(":")
    if not module or not name.isidentifier():
        raise ValueError(f"{reference!r} is neither `package.module:name` nor `file.py:name`")
    found = _load_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    try:
        return getattr(found, name)
    except AttributeError:
        raise LookupError(f"{module} has no {name!r}") from None


def load_factory(device: DevicePlan) -> Any:
    """Make the Python node that a device's factory names."""
    return find_factory(device)()


def find_factory(device: DevicePlan, directory: Directory = NOBODY) -> Callable[[], Any]:
    """What makes the Python node that a device's factory names, each time it is called."""
    try:
        make = load_object(device.factory or "")
    except ValueError as error:
        raise ValueError(f"device {device.name}: a factory is written package.module:callable: {error}") from error
    return partial(make, device.name, {**device.config, "directory": directory})


def _load_file(path: Path) -> ModuleType:
    """The module in a file, once for each state of the file. What stands beside it can be imported."""
    path = path.absolute()
    stamp = f"{path}\0{path.stat().st_mtime_ns}"
    name = f"{path.stem}_{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
