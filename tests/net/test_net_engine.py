"""The engine as a whole: several hops, multicast in rings, cuts, Python nodes, and the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from swarmrig.api import NodePlan, StepResult
from swarmrig.model.network import PERFECT, DevicePlan, Impairment, LinkPlan, NetworkPlan, PortKind, SwitchPlan
from swarmrig.model.scenario import LinkSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.engine import Engine
from swarmrig.net.factory import load_factory
from swarmrig.net.link import Record
from swarmrig.net.router import ANSWER_DELAY_NS
from swarmrig.net.topology import plan_network
from swarmrig.wire.arp import Arp, reply_frame, request_frame
from swarmrig.wire.ethernet import BROADCAST, Ethernet, EtherType
from swarmrig.wire.icmp import ECHO_REPLY, ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol, multicast_mac
from swarmrig.wire.udp import Udp

MS = 1_000_000
GROUP = "239.83.87.1"


class Station:
    """A minimal IPv4 host at a device: answers ARP, sends via its gateway, keeps what it gets."""

    def __init__(self, engine: Engine, device: DevicePlan) -> None:
        self.engine = engine
        self.plan = device
        self.packets: list[tuple[int, Ipv4]] = []
        self.gateway_mac: str | None = None
        engine.attach(device.name, self.receive)

    def receive(self, t_ns: int, data: bytes) -> None:
        frame = Ethernet.parse(data)
        if frame.type == EtherType.ARP:
            arp = Arp.parse(frame.payload)
            if arp.op == 1 and arp.target_ip == self.plan.ip:
                self.engine.send(t_ns, self.plan.name, reply_frame(self.plan.mac, arp))
            elif arp.op == 2:
                self.gateway_mac = arp.sender_mac
        elif frame.dst in (self.plan.mac, BROADCAST) or int(frame.dst[:2], 16) & 1:
            self.packets.append((t_ns, Ipv4.parse(frame.payload)))

    def resolve(self) -> None:
        assert self.plan.gateway is not None
        self.engine.send(
            self.engine.now_ns, self.plan.name, request_frame(self.plan.mac, self.plan.ip, self.plan.gateway)
        )

    def send(self, packet: Ipv4, *, to: str | None = None) -> None:
        mac = to or self.gateway_mac
        assert mac is not None
        frame = Ethernet(mac, self.plan.mac, EtherType.IPV4, packet.pack()).pack()
        self.engine.send(self.engine.now_ns, self.plan.name, frame)


class Silent:
    """A Python node that says nothing; stands in for the aggregator."""

    resolution_ns = 1

    def __init__(self, device: DevicePlan) -> None:
        self.device = device

    def deliver(self, t_ns: int, frame: bytes) -> None: ...

    def advance(self, horizon_ns: int) -> StepResult:
        return StepResult([], [])

    def next_deadline_ns(self) -> int | None:
        return None

    def report(self) -> Mapping[str, Any]:
        return {"name": self.device.name}


class Net:
    """An engine with a station at every node."""

    def __init__(self, topology: Topology, count: int, *, links: tuple[tuple[int, int], ...] = ()) -> None:
        nodes = tuple(NodeSpec(f"n{at}", at, role=Role.COORDINATOR if at == 0 else Role.SENSOR) for at in range(count))
        specs = tuple(LinkSpec((f"n{a}", f"n{b}"), Impairment()) for a, b in links)
        scenario = Scenario("t", 10**10, 1, TimeMode.REAL, NetworkSpec(topology, links=specs), nodes)
        self.plan = plan_network(scenario, [NodePlan(node, ()) for node in nodes])
        self.records: dict[str, list[Record]] = {link.name: [] for link in self.plan.links}
        captures = {name: records.append for name, records in self.records.items()}
        self.engine = Engine(self.plan, captures=captures, make_node=Silent)
        self.stations = [Station(self.engine, self.plan.device(node.id)) for node in nodes]
        if self.plan.routers:
            for station in self.stations:
                station.resolve()
            self.run(100)

    def run(self, ms: int) -> None:
        self.engine.advance(self.engine.now_ns + ms * MS)


def echo(src: str, dst: str, seq: int = 1) -> Ipv4:
    return Ipv4(src, dst, Protocol.ICMP, Icmp(ECHO_REQUEST, 0, 1, seq, b"x").pack())


@pytest.mark.parametrize("hops", [3, 4, 5])
def test_a_line_forwards_over_several_hops(hops: int) -> None:
    net = Net(Topology.LINE, hops + 1)
    first, last = net.stations[0], net.stations[-1]
    started = net.engine.now_ns
    first.send(echo(first.plan.ip, last.plan.ip))
    net.run(1000)
    ((arrived, packet),) = last.packets
    assert packet.ttl == 64 - hops - 1  # a router at every site
    # Each link once for the packet and twice for resolving its far end, with a moment for asked and asking router.
    assert arrived - started == hops * (3 * 5 * MS + 2 * ANSWER_DELAY_NS)
    net.stations[0].packets.clear()
    started = net.engine.now_ns
    first.send(echo(first.plan.ip, last.plan.ip))
    net.run(1000)
    assert last.packets[-1][0] - started == hops * 5 * MS  # all resolved


def test_a_ring_takes_the_short_way_and_a_cut_is_seen() -> None:
    net = Net(Topology.RING, 5)
    first, last = net.stations[0], net.stations[4]
    first.send(echo(first.plan.ip, last.plan.ip))
    net.run(1000)
    assert last.packets[-1][1].ttl == 62
    net.engine.set_link(net.engine.now_ns, "n4--n0", {"up": False})
    first.send(echo(first.plan.ip, last.plan.ip))
    net.run(1000)
    assert len(last.packets) == 1  # nothing reroutes
    net.engine.set_link(net.engine.now_ns, "n4--n0", {"up": True})
    first.send(echo(first.plan.ip, last.plan.ip))
    net.run(1000)
    assert len(last.packets) == 2
    assert net.engine.wires["n4--n0"].counters()["drops"] == {"drop: link down": 1}


@pytest.mark.parametrize(
    ("topology", "count", "links"),
    [
        (Topology.RING, 3, ()),
        (Topology.RING, 6, ()),
        (Topology.LINE, 5, ()),
        (Topology.STAR, 5, ()),
        (Topology.MESH, 5, ()),
        (Topology.CUSTOM, 5, ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3), (3, 4))),
    ],
)
def test_multicast_reaches_everybody_once_and_ends(
    topology: Topology, count: int, links: tuple[tuple[int, int], ...]
) -> None:
    net = Net(topology, count, links=links)
    sender = net.stations[0]
    beacon = Udp(5006, 5006, b"beacon").pack(sender.plan.ip, GROUP)
    sender.send(Ipv4(sender.plan.ip, GROUP, Protocol.UDP, beacon, ttl=16), to=multicast_mac(GROUP))
    net.run(10_000)
    assert [len(station.packets) for station in net.stations] == [0] + [1] * (count - 1)
    assert net.engine.next_ns() is None


def test_everybody_reaches_everybody_and_every_router_answers_pings() -> None:
    net = Net(Topology.CUSTOM, 5, links=((0, 1), (1, 2), (2, 3), (3, 0), (3, 4)))
    for source in net.stations:
        for target in net.stations:
            if target is not source:
                assert target.plan.gateway is not None
                source.send(echo(source.plan.ip, target.plan.ip))
                source.send(echo(source.plan.ip, target.plan.gateway))
    net.run(20_000)
    for station in net.stations:
        messages = [Icmp.parse(packet.payload).type for _, packet in station.packets]
        assert messages.count(ECHO_REQUEST) == 4
        assert messages.count(ECHO_REPLY) == 4


def test_every_frame_is_recorded_where_it_was_sent() -> None:
    net = Net(Topology.STAR, 3)
    hub, leaf = net.stations[0], net.stations[1]
    leaf.send(echo(leaf.plan.ip, hub.plan.ip), to=hub.plan.mac)
    net.run(100)
    at_leaf, at_hub = net.records["n0--n1"], net.records["n0"]
    assert [(t_ns, interface) for t_ns, interface, _, _ in at_leaf] == [(0, 1)]  # n0--n1: a is the switch, b the leaf
    assert [(t_ns, interface) for t_ns, interface, _, _ in at_hub] == [(5 * MS, 1)]  # out of the switch
    assert net.records["n0--n2"][0][:2] == (5 * MS, 0)  # flooded
    assert sum(counters["frames"] for counters in (wire.counters() for wire in net.engine.wires.values())) == 4  # type: ignore[misc]


def test_equal_inputs_give_equal_records() -> None:
    def once() -> dict[str, list[Record]]:
        net = Net(Topology.RING, 5)
        for name in (name for name, wire in net.engine.wires.items() if not wire.plan.access):
            net.engine.set_link(0, name, {"loss": 0.2, "jitter_ns": 3 * MS, "duplicate": 0.2, "corrupt": 0.1})
        for number in range(200):
            source, target = net.stations[number % 5], net.stations[(number * 3 + 1) % 5]
            source.send(echo(source.plan.ip, target.plan.ip, number))
            net.run(7)
        net.run(10_000)
        return net.records

    assert once() == once()


def test_conservation_over_a_whole_network() -> None:
    net = Net(Topology.RING, 4)
    for name in net.engine.wires:
        net.engine.set_link(0, name, {"loss": 0.1, "duplicate": 0.3, "rate_bps": 10**6, "queue_bytes": 500})
    for number in range(300):
        net.stations[number % 4].send(echo(net.stations[number % 4].plan.ip, net.stations[(number + 2) % 4].plan.ip))
        net.run(1)
    for settled in (False, True):
        if settled:
            net.run(60_000)
            assert net.engine.frames_under_way() == 0
        for wire in net.engine.wires.values():
            for side in (wire.forward, wire.backward):
                c = side.counters()
                assert c.frames + c.duplicates == c.delivered + c.under_way + sum(c.drops.values())


def test_links_are_changed_by_direction() -> None:
    net = Net(Topology.STAR, 2)
    net.engine.set_link(0, "n0--n1", {"loss": 1}, "forward")
    assert net.engine.wires["n0--n1"].forward.impairment.loss == 1
    assert net.engine.wires["n0--n1"].backward.impairment.loss == 0


@pytest.mark.parametrize(
    ("link", "changes", "direction", "message"),
    [
        ("nowhere", {}, None, "there is no link 'nowhere': the links are n0"),
        ("n0--n1", {"latency": 3}, None, "unknown impairment 'latency': did you mean 'latency_ns'"),
        ("n0--n1", {"loss": 2}, None, "loss lies between 0 and 1"),
        ("n0--n1", {"loss": 0.1}, "sideways", "a direction is forward or backward"),
    ],
)
def test_impossible_changes_are_refused(
    link: str, changes: dict[str, Any], direction: str | None, message: str
) -> None:
    net = Net(Topology.STAR, 2)
    with pytest.raises(ValueError, match=message):
        net.engine.set_link(0, link, changes, direction)
    assert net.engine.wires["n0--n1"].forward.impairment == Impairment()


def test_runts_are_dropped() -> None:
    net = Net(Topology.STAR, 2)
    net.engine.send(0, "n1", b"short")
    assert net.engine.runts == 1
    assert net.records["n0--n1"] == []


# -- Python nodes


class Ticker:
    """Sends a broadcast every 10 ms, notes what it gets, and echoes it at once."""

    resolution_ns = 1

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.mac = bytes.fromhex(str(config["mac"]).replace(":", ""))
        self.next_ns = int(config.get("first_ns", 0))
        self.inputs: list[tuple[int, bytes]] = []
        self.horizons: list[int] = []
        self.fails_at = config.get("fails_at")
        self.echo = bool(config.get("echo"))

    def deliver(self, t_ns: int, frame: bytes) -> None:
        self.inputs.append((t_ns, frame))

    def advance(self, horizon_ns: int) -> StepResult:
        self.horizons.append(horizon_ns)
        result = StepResult([], [])
        if self.fails_at is not None and horizon_ns >= self.fails_at:
            raise RuntimeError("the model is wrong")
        while self.next_ns <= horizon_ns:
            result.frames.append((self.next_ns, b"\xff" * 6 + self.mac + b"\x88\xb5tick"))
            result.console.append((self.next_ns, f"tick {self.next_ns}"))
            self.next_ns += 10 * MS
        if self.echo and self.inputs and self.inputs[-1][0] == horizon_ns:
            result.frames.append((horizon_ns, b"\xff" * 6 + self.mac + b"\x88\xb5echo"))
        return result

    def next_deadline_ns(self) -> int | None:
        return self.next_ns

    def report(self) -> Mapping[str, Any]:
        return {"inputs": len(self.inputs)}


def hosted(a: dict[str, Any], b: dict[str, Any]) -> tuple[Engine, list[Record]]:
    macs = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
    devices = tuple(
        DevicePlan(
            name, macs[name], "a--b", PortKind.PYTHON, factory=f"{__name__}:Ticker", config={"mac": macs[name], **c}
        )
        for name, c in (("a", a), ("b", b))
    )
    plan = NetworkPlan(1, devices, (LinkPlan("a--b", "a", "b"),))
    records: list[Record] = []
    return Engine(plan, captures={"a--b": records.append}, make_node=lambda d: Ticker(d.name, d.config)), records


def test_python_nodes_act_at_exactly_their_times() -> None:
    engine, records = hosted({}, {"first_ns": 10**12})
    engine.advance(35 * MS)
    assert [(t_ns, interface) for t_ns, interface, _, _ in records] == [(t * MS, 0) for t in (0, 10, 20, 30)]
    assert engine.nodes["a"].take_console() == [(t * MS, f"tick {t * MS}") for t in (0, 10, 20, 30)]
    assert engine.nodes["a"].take_console() == []
    assert engine.nodes["b"].report() == {"inputs": 4}  # 5 ms later each


def test_python_nodes_answer_at_the_instant_of_the_input() -> None:
    engine, records = hosted({}, {"first_ns": 10**12, "echo": True})
    engine.advance(9 * MS)
    assert [(t_ns, frame[-4:]) for t_ns, _, frame, _ in records] == [(0, b"tick"), (5 * MS, b"echo")]


def test_the_step_of_the_driver_does_not_matter() -> None:
    def run(step: int) -> list[Record]:
        engine, records = hosted({}, {"first_ns": 3 * MS, "echo": True})
        for t_ns in range(0, 200 * MS, step):
            engine.advance(t_ns)
        engine.advance(200 * MS)
        return records

    assert run(200 * MS) == run(MS) == run(7_777_777)


def test_a_python_node_that_fails_does_not_take_the_network_down() -> None:
    engine, records = hosted({"fails_at": 15 * MS}, {})
    engine.advance(100 * MS)
    assert "the model is wrong" in (engine.nodes["a"].failure or "")
    assert engine.nodes["a"].report() == {}
    assert engine.nodes["b"].failure is None
    assert len([record for record in records if record[1] == 1]) == 11


class Runt(Ticker):
    def advance(self, horizon_ns: int) -> StepResult:
        self.next_ns = 10**15
        return StepResult([(horizon_ns, b"runt")], [])


def test_a_python_node_that_sends_a_runt_fails() -> None:
    device = DevicePlan("a", "02:00:00:00:00:0a", "a", PortKind.PYTHON, config={"mac": "02:00:00:00:00:0a"})
    plan = NetworkPlan(1, (device,), (LinkPlan("a", "a", "sw"),), (SwitchPlan("sw"),))
    engine = Engine(plan, make_node=lambda d: Runt(d.name, d.config))
    engine.advance(0)
    assert "a frame of 4 bytes" in (engine.nodes["a"].failure or "")


def test_factories_are_loaded_by_name() -> None:
    config = {"mac": "02:00:00:00:00:0a", "ip": "10.0.0.1", "nodes": {}}
    good = DevicePlan(
        "a", "", "l", PortKind.PYTHON, config=config, factory="swarmrig.nodes.python.aggregator:make_aggregator"
    )
    assert load_factory(good).resolution_ns == 1
    for factory in ("no colon", ":x", "x:", None):
        with pytest.raises(ValueError, match="a factory is written"):
            load_factory(DevicePlan("a", "", "l", PortKind.PYTHON, factory=factory))


def test_an_access_wire_can_be_cut_and_healed() -> None:
    net = Net(Topology.STAR, 2)
    hub, leaf = net.stations
    net.engine.set_link(0, "n0", {"up": False})
    hub.send(echo(hub.plan.ip, leaf.plan.ip), to=leaf.plan.mac)
    net.run(100)
    net.engine.set_link(net.engine.now_ns, "n0", {"up": True})
    assert net.engine.wires["n0"].forward.impairment == PERFECT
    hub.send(echo(hub.plan.ip, leaf.plan.ip), to=leaf.plan.mac)
    net.run(100)
    assert len(leaf.packets) == 1
