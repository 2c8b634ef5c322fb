"""Build hook: compiles the lockstep plugin into the wheel, if there is a C compiler.

Without one the package installs all the same; `swarmrig doctor` then says that virtual time is missing, and why.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LockstepBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (the name is hatchling's)
        """`version` is "standard" or "editable"; both get the libraries inside the package's source directory."""
        lockstep = _load(Path(self.root) / "lockstep" / "build.py")
        try:
            libraries = lockstep.build(lockstep.SHIPPED, strict=False)  # a newer compiler may warn of more
        except lockstep.BuildError as error:
            self.app.display_warning(f"no virtual time in this build: {error}")
            return
        build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in libraries]
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("lockstep_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
