"""Guests in lockstep, held to this machine's clock, and a device outside that the test itself is."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.model.network import Impairment, NetworkPlan
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase.paced_fabric import PacedFabric, open_paced_fabric
from swarmrig.timebase.stepping import Stepping
from swarmrig.wire import arp
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.icmp import ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol

MS, S = 10**6, 10**9
PATIENCE_S = 60.0
HUB = NodeSpec("hub", 1, role=Role.COORDINATOR)
SENSOR = NodeSpec("s1", 2, scenario=2, tdm_slot=1)
OUTSIDE = "ext"
EXT = NodeSpec(OUTSIDE, 9, kind="ext")


@dataclass
class PacedSwarm:
    """A network in paced time, which the test holds by token 0. `sock`: the test's own place in the network."""

    network: PacedFabric
    wires: NetworkPlan
    directory: Path
    sock: socket.socket
    nodes: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    async def until(self, t_ns: int, token: int = 0) -> int:
        with anyio.fail_after(PATIENCE_S):
            now_ns = await self.network.reach(token, t_ns)
        await self.collect()
        return now_ns

    async def collect(self) -> dict[str, Any]:
        statistics = await self.network.statistics()
        for name, lines in statistics["console"].items():
            self.lines[name] += [(t_ns, text) for t_ns, text in lines]
        return statistics

    def echo_request(self, target: str, sequence: int, size: int = 8) -> bytes:
        """An ICMP echo request from outside to a device."""
        ours, theirs = self.wires.device(OUTSIDE), self.wires.device(target)
        message = Icmp(ECHO_REQUEST, id=7, seq=sequence, payload=bytes(size)).pack()
        packet = Ipv4(ours.ip, theirs.ip, Protocol.ICMP, message).pack()
        return Ethernet(theirs.mac, ours.mac, EtherType.IPV4, packet).pack()

    async def frame(self) -> bytes:
        """The next frame that arrives outside."""
        with anyio.fail_after(PATIENCE_S):
            await anyio.wait_readable(self.sock)
        return self.sock.recv(70_000)

    async def answer(self, sequence: int) -> bytes:
        """The echo reply with this number; who asks for our address meanwhile is told."""
        ours = self.wires.device(OUTSIDE)
        while True:
            frame = await self.frame()
            ethernet = Ethernet.parse(frame)
            if ethernet.type == EtherType.ARP:
                asked = arp.Arp.parse(ethernet.payload)
                if asked.op == arp.REQUEST and asked.target_ip == ours.ip:
                    self.sock.send(arp.reply_frame(ours.mac, asked))
            elif ethernet.dst == ours.mac and ethernet.type == EtherType.IPV4:
                packet = Ipv4.parse(ethernet.payload)
                if packet.proto == Protocol.ICMP and Icmp.parse(packet.payload).seq == sequence:
                    return frame

    async def ping(self, target: str, sequence: int) -> bytes:
        """Ask and be answered; asks again when nobody answers, as a device that has lost its power does not."""
        while True:
            self.sock.send(self.echo_request(target, sequence))
            with anyio.move_on_after(1.0):
                return await self.answer(sequence)


@asynccontextmanager
async def paced_swarm(
    directory: Path,
    *specs: NodeSpec,
    latency_ns: int = 5 * MS,
    end_ns: int = 100 * S,
    waiters: int = 1,
    patience_s: float = 30.0,
    backend: Any = None,
) -> AsyncIterator[PacedSwarm]:
    """A star of these nodes (a hub and a sensor) that stand before their first instruction, and the test outside; time
    begins when all `waiters` have said where it is to stop."""
    specs, backend = specs or (HUB, SENSOR), backend or QemuBackend()
    network = NetworkSpec(Topology.STAR, hub=specs[0].id, impairment=Impairment(latency_ns=latency_ns))
    scenario = Scenario("t", end_ns, 3, TimeMode.VIRTUAL, network, (*specs, EXT))
    plans = [await backend.plan(spec, scenario) for spec in specs]
    wires = plan_network(scenario, [*plans, NodePlan(EXT, ())])
    async with AsyncExitStack() as stack:
        (directory / "net").mkdir(parents=True)
        spawner = await stack.enter_async_context(open_spawner(RunScope(directory, state_root=directory / "state")))
        opening = open_paced_fabric(wires, directory=directory / "net", spawner=spawner, start_ns=0)
        fabric = await stack.enter_async_context(opening)
        sock = stack.enter_context(socket.socket(fileno=fabric.take_port(OUTSIDE)))
        sock.setblocking(False)
        made = PacedSwarm(fabric, wires, directory, sock)
        for plan in plans:
            context = _context(scenario, fabric, plan.spec, spawner, directory, specs[0].id)
            made.nodes[plan.spec.id] = await stack.enter_async_context(backend.open(plan, context))
        await fabric.go(end_ns, waiters, Stepping(patience_s))
        yield made
        with anyio.fail_after(PATIENCE_S):
            await fabric.end_guests()


def _context(
    scenario: Scenario, fabric: PacedFabric, spec: NodeSpec, spawner: Any, directory: Path, hub: str
) -> LaunchContext:
    home = directory / "nodes" / spec.id
    home.mkdir(parents=True)
    return LaunchContext(
        scenario=scenario,
        device=fabric.plan.device(spec.id),
        target_ip=fabric.plan.device(AGGREGATOR if spec.id == hub else hub).ip,
        aggregator_ip=fabric.plan.device(AGGREGATOR).ip,
        directory=home,
        port_fd=fabric.take_port(spec.id),
        spawner=spawner,
        now_ns=lambda: 0,
        on_console=lambda *_: None,
        network=fabric,
    )
