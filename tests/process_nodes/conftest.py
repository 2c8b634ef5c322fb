"""Programs as nodes, with little to write."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.process.backend import ProcessBackend
from swarmrig.nodes.process.node import ProcessNode
from swarmrig.nodes.process.options import ProcessOptions
from swarmrig.testing import open_workbench
from swarmrig.testing.workbench import Trace, Workbench

Started = Callable[..., AbstractAsyncContextManager[tuple[ProcessNode, Trace, Workbench]]]
Shell = Callable[..., NodeSpec]


def program(*command: str, **options: Any) -> NodeSpec:
    """A node that runs the command."""
    checked = ProcessOptions.model_validate({"command": command, **options})
    return NodeSpec(id="prog", number=1, kind="process", options=checked.model_dump())


@pytest.fixture
def shell() -> Shell:
    """A node that runs a script of the shell."""
    return lambda script, **options: program("sh", "-c", script, **options)


@pytest.fixture
def command() -> Shell:
    """A node that runs a command."""
    return program


@pytest.fixture
def python() -> Shell:
    return lambda script, **options: program(sys.executable, "-S", "-c", script, **options)


@pytest.fixture
def started(tmp_path: Path) -> Started:
    @asynccontextmanager
    async def start(spec: NodeSpec) -> AsyncIterator[tuple[ProcessNode, Trace, Workbench]]:
        async with open_workbench(tmp_path, ProcessBackend(), spec) as bench, bench.node() as node:
            assert isinstance(node, ProcessNode)
            yield node, bench.trace(), bench

    return start


@pytest.fixture
def busybox() -> str:
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("needs busybox")
    return found
