"""Paced time against real time: what it costs to answer somebody outside of it, and what it costs at all.

Two guests and a device outside, which is this process: it sends echo requests to a guest over links of 5 ms and waits
for the answers. In real time both guests and the network run by this machine's clock; in paced time the guests are in
lockstep, and what comes from outside is stamped with the next slice of 1 ms.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.model.network import DevicePlan, Impairment, NetworkPlan
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.fabric import Fabric, open_fabric
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.timebase.paced_fabric import PacedFabric, open_paced_fabric
from swarmrig.timebase.stepping import Stepping
from swarmrig.wire import arp
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.icmp import ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol

LINK_NS = 5_000_000
ROUND_TRIPS = 300
IDLE_S = 5.0
FOREVER_NS = 1 << 61
NODES = (NodeSpec("hub", 1, role=Role.COORDINATOR), NodeSpec("s1", 2, scenario=2, tdm_slot=1))
OUTSIDE = NodeSpec("ext", 9, kind="ext")


@dataclass(frozen=True)
class Figures:
    """Round trips beyond the modelled time in ms, and shares of a processor: of the network, and of the guests."""

    beyond_ms: list[float]
    network: float
    guests: float
    network_idle: float
    guests_idle: float
    late_max_ms: float


def run() -> None:
    """Prints both, and what paced time adds."""
    figures = {time_mode: anyio.run(_measured, time_mode) for time_mode in (TimeMode.REAL, TimeMode.PACED)}
    for mode, found in figures.items():
        parts = statistics.quantiles(found.beyond_ms, n=100)
        print(
            f"paced: {mode}: round trip beyond the modelled 10 ms: median {parts[49]:.2f} ms, p95 {parts[94]:.2f}, "
            f"p99 {parts[98]:.2f}, jitter (standard deviation) {statistics.stdev(found.beyond_ms):.2f}; processor: "
            f"network {found.network:.1%}, guests {found.guests:.1%}; without traffic {found.network_idle:.1%} and "
            f"{found.guests_idle:.1%}; latest frame {found.late_max_ms:.2f} ms after its time"
        )
    added = statistics.median(figures[TimeMode.PACED].beyond_ms) - statistics.median(figures[TimeMode.REAL].beyond_ms)
    print(f"paced: paced time adds {added:.2f} ms to a round trip")


async def _measured(mode: TimeMode) -> Figures:
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as name:
        async with _swarm(Path(name), mode) as (fabric, wires, nodes):
            with socket.socket(fileno=fabric.take_port(OUTSIDE.id)) as end:
                end.settimeout(5.0)
                await anyio.to_thread.run_sync(_round_trips, end, wires, 20)
                with _Processors(fabric, nodes) as busy:
                    beyond = await anyio.to_thread.run_sync(_round_trips, end, wires, ROUND_TRIPS)
            for node in nodes:
                await node.write_console(b"stop\r")
            await anyio.sleep(1.0)
            with _Processors(fabric, nodes) as idle:
                await anyio.sleep(IDLE_S)
            pace = (await fabric.statistics()).get("pace", {})
            return Figures(
                beyond, busy.network, busy.guests, idle.network, idle.guests, pace.get("late_max_ns", 0) / 1e6
            )


class _Processors:
    """What network and guests use of a processor meanwhile."""

    def __init__(self, fabric: Fabric, nodes: list[Any]) -> None:
        self._fabric, self._nodes = fabric, nodes
        self.network = self.guests = 0.0

    def __enter__(self) -> _Processors:
        self._begun_s, self._before = time.monotonic(), self._used()
        return self

    def __exit__(self, *_: object) -> None:
        elapsed_s = time.monotonic() - self._begun_s
        self.network, self.guests = (
            (after - before) / elapsed_s for before, after in zip(self._before, self._used(), strict=True)
        )

    def _used(self) -> tuple[float, float]:
        return _cpu_s(self._fabric.pid), sum(_cpu_s(node.pid) for node in self._nodes)


def _cpu_s(pid: int) -> float:
    """See proc(5), /proc/pid/stat: utime and stime, the 14th and 15th field."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _round_trips(end: socket.socket, wires: NetworkPlan, count: int) -> list[float]:
    """Milliseconds beyond the modelled time, of each."""
    ours, theirs = wires.device(OUTSIDE.id), wires.device("hub")
    chance, found = random.Random(1), []
    for number in range(count):
        echo = Icmp(ECHO_REQUEST, id=7, seq=number, payload=bytes(32)).pack()
        packet = Ipv4(ours.ip, theirs.ip, Protocol.ICMP, echo).pack()
        begun = time.monotonic_ns()
        end.send(Ethernet(theirs.mac, ours.mac, EtherType.IPV4, packet).pack())
        while not _is_reply(frame := end.recv(2000), number, ours.mac):
            _answer_arp(end, frame, ours)
        found.append((time.monotonic_ns() - begun - 2 * LINK_NS) / 1e6)
        time.sleep(chance.uniform(0.005, 0.015))
    return found


def _is_reply(frame: bytes, number: int, mac: str) -> bool:
    ethernet = Ethernet.parse(frame)
    if ethernet.type != EtherType.IPV4 or ethernet.dst != mac:
        return False
    packet = Ipv4.parse(ethernet.payload)
    return packet.proto == Protocol.ICMP and Icmp.parse(packet.payload).seq == number


def _answer_arp(end: socket.socket, frame: bytes, ours: DevicePlan) -> None:
    ethernet = Ethernet.parse(frame)
    if ethernet.type == EtherType.ARP:
        asked = arp.Arp.parse(ethernet.payload)
        if asked.op == arp.REQUEST and asked.target_ip == ours.ip:
            end.send(arp.reply_frame(ours.mac, asked))


@asynccontextmanager
async def _swarm(place: Path, mode: TimeMode) -> AsyncIterator[tuple[Fabric, NetworkPlan, list[Any]]]:
    network = NetworkSpec(Topology.STAR, hub="hub", impairment=Impairment(latency_ns=LINK_NS))
    told = Scenario("bench", FOREVER_NS, 3, mode, network, (*NODES, OUTSIDE))
    lived = Scenario("bench", FOREVER_NS, 3, TimeMode.VIRTUAL if mode is TimeMode.PACED else mode, network, told.nodes)
    backend = QemuBackend()
    plans = {spec.id: await backend.plan(spec, lived) for spec in NODES}
    wires = plan_network(told, [*plans.values(), NodePlan(OUTSIDE, ())])
    opening = open_paced_fabric if mode is TimeMode.PACED else open_fabric
    async with AsyncExitStack() as stack:
        spawner = await stack.enter_async_context(open_spawner(RunScope(place, state_root=place / "state")))
        fabric: Fabric = await stack.enter_async_context(
            opening(wires, directory=place / "net", spawner=spawner, start_ns=time.monotonic_ns())
        )
        nodes = [await _opened(stack, backend, plan, lived, fabric, place, spawner) for plan in plans.values()]
        if isinstance(fabric, PacedFabric):
            await fabric.go(FOREVER_NS, 0, Stepping())
            await fabric.begun()
        await anyio.sleep(1.0)
        yield fabric, wires, nodes


async def _opened(
    stack: AsyncExitStack,
    backend: QemuBackend,
    plan: NodePlan,
    scenario: Scenario,
    fabric: Fabric,
    place: Path,
    spawner: Spawner,
) -> Any:
    home = place / plan.spec.id
    home.mkdir()
    target = AGGREGATOR if plan.spec.id == "hub" else "hub"
    context = LaunchContext(
        scenario=scenario,
        device=fabric.plan.device(plan.spec.id),
        target_ip=fabric.plan.device(target).ip,
        aggregator_ip=fabric.plan.device(AGGREGATOR).ip,
        directory=home,
        port_fd=fabric.take_port(plan.spec.id),
        spawner=spawner,
        now_ns=time.monotonic_ns,
        on_console=lambda *_: None,
        network=fabric,
    )
    return await stack.enter_async_context(backend.open(plan, context))
