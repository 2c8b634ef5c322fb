"""The guests of these tests, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.model.scenario import NodeSpec, SourceRef
from swarmrig.nodes.vm.options import VmOptions

PASSWORD = "swordfish"
LOGIN = {"user": "root", "password": PASSWORD}


@dataclass(frozen=True)
class Linux:
    """A guest that boots in some seconds: a web server on port 80, a login on the console."""

    kernel: Path
    initrd: Path

    def options(self, **more: Any) -> dict[str, Any]:
        return {"kernel": self.kernel, "initrd": self.initrd, "memory": "128MiB", "accel": "tcg", **more}

    @property
    def yaml(self) -> str:
        return f"kind: vm, kernel: {self.kernel}, initrd: {self.initrd}, memory: 128MiB, accel: tcg"


def node(options: dict[str, Any], number: int = 1, **more: Any) -> NodeSpec:
    """A node as it comes out of a scenario file."""
    dumped = VmOptions.model_validate(options).model_dump()
    source = SourceRef("test.yml", 1, 1)
    return NodeSpec(id=f"vm{number}", number=number, kind="vm", options=dumped, source=source, **more)
