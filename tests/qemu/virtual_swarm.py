"""Nodes of a network in virtual time, without a run around them: what tests do, they do at exact times."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase.fabric import VirtualFabric, open_virtual_fabric
from swarmrig.timebase.stepping import Stepping

MS, S = 10**6, 10**9
PATIENCE_S = 60.0
HUB = NodeSpec("hub", 1, role=Role.COORDINATOR)
SENSOR = NodeSpec("s1", 2, scenario=2, tdm_slot=1)


@dataclass
class Swarm:
    """A network whose time the test holds by token 0."""

    network: VirtualFabric
    plans: dict[str, NodePlan]
    directory: Path
    nodes: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    async def until(self, t_ns: int) -> int:
        with anyio.fail_after(PATIENCE_S):
            now_ns = await self.network.reach(0, t_ns)
        await self.collect()
        return now_ns

    async def collect(self) -> dict[str, Any]:
        statistics = await self.network.statistics()
        for name, lines in statistics["console"].items():
            self.lines[name] += [(t_ns, text) for t_ns, text in lines]
        return statistics

    def times(self, node: str, text: str) -> list[int]:
        """When the node said this."""
        return [t_ns for t_ns, line in self.lines[node] if text in line]

    async def digest(self) -> str:
        """Of all consoles and captures up to now."""
        await self.network.flush()
        await self.collect()
        whole = hashlib.sha256(repr(sorted(self.lines.items())).encode())
        for capture in sorted((self.directory / "net").glob("*.pcapng")):
            whole.update(capture.read_bytes())
        return whole.hexdigest()


@asynccontextmanager
async def swarm(
    directory: Path,
    *specs: NodeSpec,
    latency_ns: int = 5 * MS,
    seed: int = 3,
    end_ns: int = 100 * S,
    patience_s: float = 30.0,
    waiters: int = 1,
    backend: QemuBackend | None = None,
) -> AsyncIterator[Swarm]:
    """A star of these nodes (a hub and a sensor) that have begun; time stands at 0."""
    specs, backend = specs or (HUB, SENSOR), backend or QemuBackend()
    network = NetworkSpec(Topology.STAR, hub=specs[0].id, impairment=Impairment(latency_ns=latency_ns))
    made = Scenario("t", end_ns, seed, TimeMode.VIRTUAL, network, specs)
    plans = {spec.id: await backend.plan(spec, made) for spec in specs}
    wires = plan_network(made, list(plans.values()))
    (directory / "net").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        spawner = await stack.enter_async_context(open_spawner(RunScope(directory, state_root=directory / "state")))
        fabric = await stack.enter_async_context(
            open_virtual_fabric(wires, directory=directory / "net", spawner=spawner, start_ns=0)
        )
        made_swarm = Swarm(fabric, plans, directory)
        for spec in specs:
            home = directory / "nodes" / spec.id
            home.mkdir(parents=True)
            target = AGGREGATOR if spec is specs[0] else specs[0].id
            context = LaunchContext(
                scenario=made,
                device=wires.device(spec.id),
                target_ip=wires.device(target).ip,
                aggregator_ip=wires.device(AGGREGATOR).ip,
                directory=home,
                port_fd=fabric.take_port(spec.id),
                spawner=spawner,
                now_ns=lambda: 0,
                on_console=lambda *_: None,
                network=fabric,
            )
            opened = backend.open(plans[spec.id], context)
            made_swarm.nodes[spec.id] = await stack.enter_async_context(opened)
        await fabric.go(end_ns, waiters, Stepping(patience_s))
        yield made_swarm
        with anyio.fail_after(PATIENCE_S):
            await fabric.end_guests()
