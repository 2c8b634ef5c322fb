"""How fast the coordinator runs a swarm of Python nodes alone, against SimPy; and what thousands of nodes cost.

The model: every node acts ten times a second, at a moment of its own, and each time sends something to another node,
which hears of it a hundredth of a second later. An event is what a node notices: a timer of its own that is due, or
something that has arrived. What the network does between them (two links and a switch to each arrival, with their
queues and checksums) is not counted, only paid for.

Ours is the real thing: the engine and the coordinator as the network process runs them, with Ethernet, IPv4 and UDP in
every frame, and captures off. `datagrams` sends some bytes, `messages` JSON, as the nodes of scenarios do, `timers`
nothing. SimPy's peer of both is the cable of its own documentation (Event Latency): a process for each thing sent, a
Store at its end, and a Python object in it. Without cable, a bare callback, SimPy is faster; that is told, too, but is
no model of a network. Rounds are taken in turns, the best counts.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from swarmrig.model.network import DevicePlan, LinkPlan, NetworkPlan, PortKind, SwitchPlan
from swarmrig.net.addresses import flat_ip
from swarmrig.net.directory import Directory
from swarmrig.net.engine import Engine
from swarmrig.nodes.python import Datagram, Message, Model
from swarmrig.timebase.coordinator import Coordinator
from swarmrig.timebase.distance import Distances

NODES, MANY = 1_000, 5_000
PERIOD_NS = 100_000_000
SECONDS = 3
WARM_UP_NS = 200_000_000
ROUNDS = 3
PORT = 9000
LIMIT = 1 << 30


def peer_of(number: int, nodes: int) -> int:
    """Whom a node sends to."""
    return (number * 7 + 1) % nodes


def first_ns(number: int) -> int:
    """When a node acts first."""
    return 1 + number * 97_003 % PERIOD_NS


class Node(Model):
    """Acts, and counts what it notices."""

    events = 0

    def on_start(self) -> None:
        self.peer = f"n{peer_of(self.number, self.config['nodes'])}"
        self.address = self.address_of(self.peer)
        self.sent = 0
        self.every(PERIOD_NS, self.act, first_ns=first_ns(self.number))

    def act(self) -> None:
        Node.events += 1


class DatagramNode(Node):
    def on_start(self) -> None:
        super().on_start()
        self.socket = self.open_udp(PORT, self.hear)

    def act(self) -> None:
        Node.events += 1
        self.sent += 1
        self.socket.send(self.address, PORT, b"%d" % self.sent)

    def hear(self, _: Datagram) -> None:
        Node.events += 1


class MessageNode(Node):
    def act(self) -> None:
        Node.events += 1
        self.sent += 1
        self.send(self.peer, {"seq": self.sent, "value": 21.5}, type="reading")

    def on_message(self, _: Message) -> None:
        Node.events += 1


def plan_of(nodes: int) -> NetworkPlan:
    """All on one switch, each by a link of the default latency."""
    devices = []
    for number in range(nodes):
        mac = f"52:54:{number >> 8:02x}:02:00:{number & 255:02x}"
        config = {"mac": mac, "ip": flat_ip(number), "seed": 1, "number": number, "nodes": nodes}
        devices.append(
            DevicePlan(f"n{number}", mac, f"lan--n{number}", PortKind.PYTHON, flat_ip(number), config=config)
        )
    links = tuple(LinkPlan(f"lan--n{number}", "lan", f"n{number}", capture=False) for number in range(nodes))
    return NetworkPlan(1, tuple(devices), links, (SwitchPlan("lan"),))


def coordinated(kind: type[Node], nodes: int) -> Coordinator:
    """A swarm and its coordinator, at time 0."""
    plan = plan_of(nodes)
    directory = Directory.of_plan(plan)
    engine = Engine(plan, make_node=lambda device: kind(device.name, {**device.config, "directory": directory}))
    return Coordinator(engine, [], Distances(plan, []), end_ns=1 << 60)


def advance(coordinator: Coordinator, t_ns: int) -> None:
    """As the loop of the network process does it."""
    coordinator.set_barrier(t_ns)
    coordinator.settle()
    while coordinator.busy:
        coordinator.settle()


def ours(kind: type[Node], nodes: int = NODES) -> float:
    """Events a second."""
    coordinator = coordinated(kind, nodes)
    advance(coordinator, WARM_UP_NS)
    # As the network process does.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    Node.events = 0
    began = time.process_time()
    advance(coordinator, WARM_UP_NS + SECONDS * 1_000_000_000)
    rate = Node.events / (time.process_time() - began)
    gc.unfreeze()
    return rate


def simpy_rate(make: Callable[[Any, list[int]], None]) -> float:
    """Events a second of a model in SimPy: `make(environment, count)` adds its processes."""
    import simpy

    environment, count = simpy.Environment(), [0]
    make(environment, count)
    environment.run(until=WARM_UP_NS / 1e9)
    count[0] = 0
    began = time.process_time()
    environment.run(until=WARM_UP_NS / 1e9 + SECONDS)
    return count[0] / (time.process_time() - began)


def simpy_cables(environment: Any, count: list[int]) -> None:
    """The cable of SimPy's documentation."""
    import simpy

    stores = [simpy.Store(environment) for _ in range(NODES)]

    def latency(store: Any, value: bytes) -> Iterator[Any]:
        yield environment.timeout(0.01)
        store.put(value)

    def act(number: int) -> Iterator[Any]:
        store, sent = stores[peer_of(number, NODES)], 0
        yield environment.timeout(first_ns(number) / 1e9)
        while True:
            count[0] += 1
            sent += 1
            environment.process(latency(store, b"%d" % sent))
            yield environment.timeout(PERIOD_NS / 1e9)

    def hear(number: int) -> Iterator[Any]:
        while True:
            yield stores[number].get()
            count[0] += 1

    for number in range(NODES):
        environment.process(act(number))
        environment.process(hear(number))


def simpy_callbacks(environment: Any, count: list[int]) -> None:
    """Nothing but a callback at the end of a time-out."""

    def hear(_: Any) -> None:
        count[0] += 1

    def act(number: int) -> Iterator[Any]:
        sent = 0
        yield environment.timeout(first_ns(number) / 1e9)
        while True:
            count[0] += 1
            sent += 1
            environment.timeout(0.01, b"%d" % sent).callbacks.append(hear)
            yield environment.timeout(PERIOD_NS / 1e9)

    for number in range(NODES):
        environment.process(act(number))


def simpy_timers(environment: Any, count: list[int]) -> None:
    def act(number: int) -> Iterator[Any]:
        yield environment.timeout(first_ns(number) / 1e9)
        while True:
            count[0] += 1
            yield environment.timeout(PERIOD_NS / 1e9)

    for number in range(NODES):
        environment.process(act(number))


OURS: dict[str, type[Node]] = {"timers": Node, "datagrams": DatagramNode, "messages": MessageNode}
PEERS = {"timers": simpy_timers, "cables": simpy_cables, "callbacks": simpy_callbacks}
PEER_OF = {"timers": "timers", "datagrams": "cables", "messages": "cables"}


def run() -> None:
    """Print the figures."""
    print("coordinator: an event is a timer of a node that is due, or a frame or message that has reached a node")
    rates: dict[str, float] = {}
    with_simpy = _have_simpy()
    for _ in range(ROUNDS):
        for name, kind in OURS.items():
            rates[name] = max(rates.get(name, 0.0), ours(kind))
        for name, make in PEERS.items() if with_simpy else ():
            rates[f"SimPy {name}"] = max(rates.get(f"SimPy {name}", 0.0), simpy_rate(make))
    for name, rate in rates.items():
        print(f"coordinator: {NODES} nodes, {name}: {rate / 1000:.0f}k events/s of CPU time")
    for name, peer in PEER_OF.items() if with_simpy else ():
        print(f"coordinator: {name}: ratio vs SimPy {peer} = {rates[name] / rates[f'SimPy {peer}']:.2f}")
    if with_simpy:
        print(f"coordinator: ratio vs SimPy = {rates['datagrams'] / rates['SimPy cables']:.2f}")
    _print_memory()


def _print_memory() -> None:
    """Of a process of its own, which has had no other swarm."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        coordinator = coordinated(MessageNode, MANY)
        advance(coordinator, 1_000_000_000)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"coordinator: {MANY} nodes after a second: {peak / 2**20:.0f} MiB RSS at most (limit {LIMIT >> 20})")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)


def _have_simpy() -> bool:
    try:
        import simpy  # noqa: F401
    except ImportError:
        print("coordinator: SimPy is not installed (pip install '.[bench]'): no ratio")
        return False
    return True
