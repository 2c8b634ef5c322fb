"""What joining the fabric costs a container, beyond the engine's own start of the same container without a network.

Uses the engine of DOCKER_HOST, or the one at the usual place; needs root and an image that stays (IMAGE, or the first
that the engine has). The best counts: other load on the machine can only add.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.errors import HostError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec
from swarmrig.net.fabric import Fabric, open_fabric
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.nodes.container.attachment import attached
from swarmrig.nodes.container.engine import open_engine, socket_of
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.proc.containers import LABEL
from swarmrig.testing.workbench import scenario_of

CONTAINERS = 12
ALLOWED_MS = 5.0


def run() -> None:
    """Prints the best of both, and the ratio to what is allowed; says so where there is no engine."""
    try:
        starts, joins = anyio.run(_measured)
    except HostError as error:
        print(f"containers: not measured: {error.message}")
        return
    print(
        f"containers: the engine's own start {min(starts):.1f} ms (median {statistics.median(starts):.1f}), joining "
        f"the fabric {min(joins):.2f} ms more (median {statistics.median(joins):.2f}, worst of {CONTAINERS} "
        f"{max(joins):.2f}), ratio vs {ALLOWED_MS:g} ms = {min(joins) / ALLOWED_MS:.2f}"
    )


async def _measured() -> tuple[list[float], list[float]]:
    """Milliseconds of every start, and of every join."""
    starts, joins = [], []
    async with _ready() as (client, context, spawner):
        spawner.journal.containers(socket_of("bench", None))
        image = os.environ.get("IMAGE") or (await client.images.list())[0]["Id"]
        order = {
            "Image": image,
            "Entrypoint": ["sleep", "60"],
            "Labels": {LABEL: spawner.scope.run_id},
            "HostConfig": {"NetworkMode": "none"},
        }
        for _ in range(CONTAINERS):
            container = await client.containers.create(order)
            try:
                begun = time.perf_counter()
                await container.start()
                started = time.perf_counter()
                pid = (await container.show())["State"]["Pid"]
                async with attached(context, pid):
                    joined = time.perf_counter()
            finally:
                await container.delete(force=True)
            starts.append((started - begun) * 1e3)
            joins.append((joined - started) * 1e3)
    return starts, joins


@asynccontextmanager
async def _ready() -> AsyncIterator[tuple[Any, LaunchContext, Spawner]]:
    """An engine, and a running fabric with a place for one container."""
    spec = NodeSpec(id="c1", number=1, kind="container")
    scenario = scenario_of(spec)
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as name:
        place = Path(name)
        plan = plan_network(scenario, [_planned(spec)])
        async with (
            open_engine(socket_of("bench", None)) as client,
            open_spawner(RunScope(place, state_root=place / "state")) as spawner,
            open_fabric(plan, directory=place / "net", spawner=spawner, start_ns=time.monotonic_ns()) as fabric,
        ):
            yield client, _context(scenario, fabric, place, spawner), spawner


def _planned(spec: NodeSpec) -> NodePlan:
    return NodePlan(spec=spec, command=(), port=PortKind.TAP)


def _context(scenario: Any, fabric: Fabric, place: Path, spawner: Spawner) -> LaunchContext:
    return LaunchContext(
        scenario=scenario,
        device=fabric.plan.device("c1"),
        target_ip=fabric.plan.device(AGGREGATOR).ip,
        aggregator_ip=fabric.plan.device(AGGREGATOR).ip,
        directory=place,
        port_fd=None,
        spawner=spawner,
        now_ns=time.monotonic_ns,
        on_console=lambda *_: None,
        network=fabric,
    )
