"""Real networks in a process of their own, under a real spawner."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from swarmrig.model.network import NetworkPlan
from swarmrig.net.fabric import Fabric, open_fabric
from swarmrig.proc import RunScope, open_spawner

Running = Callable[[NetworkPlan], AbstractAsyncContextManager[Fabric]]


@pytest.fixture
def network(tmp_path: Path) -> Running:
    """`async with network(plan) as fabric:`; its directory is `tmp_path / "net"`."""

    @asynccontextmanager
    async def running(plan: NetworkPlan) -> AsyncIterator[Fabric]:
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        async with (
            open_spawner(RunScope(run, state_root=tmp_path / "state")) as spawner,
            open_fabric(plan, directory=tmp_path / "net", spawner=spawner, start_ns=time.monotonic_ns()) as fabric,
        ):
            yield fabric

    return running
