"""A swarm on paper: builds the facts of a run with the real wire formats and the real network plan."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swarmrig.api import CheckContext, NodePlan
from swarmrig.checks.metrics import Meter
from swarmrig.model.facts import ConsoleLine, Fact, FaultChange, FaultStage, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import (
    CheckSpec,
    FaultSpec,
    NetworkSpec,
    NodeSpec,
    Role,
    Scenario,
    TimeMode,
    Topology,
)
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.net.topology import link_between, plan_network
from swarmrig.wire.csi import Csi
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol, multicast_mac
from swarmrig.wire.tdm import GROUP, Beacon
from swarmrig.wire.udp import Udp
from swarmrig.wire.vitals import Vitals

S = 1_000_000_000
MS = 1_000_000
SUPERFRAME = 50 * MS
PORT = 5005
BOOT = "I (2) main_task: Calling app_main()"


@dataclass
class Swarm:
    """Facts are collected in `facts`; the methods that make them return them too."""

    context: CheckContext
    facts: list[Fact] = field(default_factory=list)
    deaf: set[str] = field(default_factory=set)
    """Nodes that no beacon reaches."""
    _numbers: Counter[str] = field(default_factory=Counter)

    def judge(self, check: type, *, until: int = 60 * S, final: bool = True, **params) -> Judgement | None:
        """Feed all facts to a new check, made as the runtime makes it, and ask it."""
        judged = check(self.context, **check.params_model(**params).model_dump())
        for fact in self.facts:
            judged.observe(fact)
        return judged.judge(until, final=final)

    def add(self, fact):
        self.facts.append(fact)
        return fact

    def next(self, source: str) -> int:
        """The next line or packet number of a console or capture."""
        self._numbers[source] += 1
        return self._numbers[source]

    @property
    def ids(self) -> list[str]:
        return [node.id for node in self.context.scenario.nodes]

    # consoles and processes

    def line(self, node: str, text: str, t: int = S) -> ConsoleLine:
        return self.add(ConsoleLine(t, node, self.next(node), text))

    def change(self, node: str, state: NodeState, t: int = 0, **data) -> NodeChange:
        return self.add(NodeChange(t, node, state, data))

    def started(self, *nodes: str, t: int = 0) -> None:
        for node in nodes or self.ids:
            self.change(node, NodeState.STARTED, t)

    def exited(self, node: str, t: int = 10 * S, *, code=None, signal=None, stderr="") -> NodeChange:
        return self.change(node, NodeState.EXITED, t, code=code, signal=signal, stderr=stderr)

    def booted(self, *nodes: str, t: int = 3 * MS) -> None:
        for node in nodes or self.ids:
            self.line(node, BOOT, t)

    # frames

    def send(self, sender: str, payload: bytes, t: int, *, to: str | None = None, link: str | None = None,
             fate: Fate = Fate.DELIVERED, delivered: bool | None = None,
             source: str | None = None, note: str = "") -> Frame:  # fmt: skip
        """A datagram that enters `link` (default: the sender's own) at `t`; `to` is a device or a group, `source` the
        device whose address it bears (default: the sender's own)."""
        network = self.context.network
        devices = {device.name: device for device in network.devices}
        target = to or (self.hub if sender != self.hub else "aggregator")
        source = devices[source or (sender if sender in devices else "s1")]
        dst_ip = devices[target].ip if target in devices else target
        dst_mac = devices[target].mac if target in devices else multicast_mac(target)
        segment = Udp(PORT, PORT, payload).pack(source.ip, dst_ip)
        packet = Ipv4(source.ip, dst_ip, Protocol.UDP, segment).pack()
        data = Ethernet(dst_mac, source.mac, EtherType.IPV4, packet).pack()
        wire = link or source.link
        arrives = not (fate.modelled_drop or fate is Fate.OVERRUN) if delivered is None else delivered
        return self.add(Frame(t, wire, sender, self.next(f"net/{wire}"), data, fate, arrives, note))

    def csi(self, node: str, t: int, seq: int, **where) -> Frame:
        return self.send(where.pop("sender", node), self.csi_payload(node, seq), t, **where)

    def csi_payload(self, node: str, seq: int) -> bytes:
        return Csi(self.number(node), 1, 2, 2437, seq, -40, -90, bytes(4)).pack()

    def vitals(self, node: str, t: int, flags: int = 0, **where) -> Frame:
        payload = Vitals(self.number(node), flags, 1500, 700_000, -40, 1, 0.5, 0.5, 1000).pack()
        return self.send(where.pop("sender", node), payload, t, **where)

    def beacon(self, t: int, number: int, *, slots: int | None = None) -> Frame:
        payload = Beacon(self.number(self.hub), slots or len(self.ids), number, 50_000, t // 1000).pack()
        sent = self.send(self.hub, payload, t, to=GROUP)
        for node in self.ids:
            if node != self.hub and node not in self.deaf:
                link = self.context.network.link(self.context.network.device(node).link)
                forwarder = link.b if link.a == node else link.a
                self.send(forwarder, payload, t, to=GROUP, link=link.name)
        return sent

    def arrival(self, node: str, t: int, seq: int, **options) -> Frame:
        """A CSI frame of `node` on the hub's own link, coming from the forwarder."""
        link = self.context.network.link(self.context.network.device(self.hub).link)
        forwarder = link.b if link.a == self.hub else link.a
        return self.send(forwarder, self.csi_payload(node, seq), t, to=options.pop("to", self.hub), link=link.name,
                         source=node, **options)  # fmt: skip

    def stream(self, node: str, start: int, end: int, *, every: int = SUPERFRAME, first_seq: int = 0) -> None:
        for seq, t in enumerate(range(start, end, every), start=first_seq):
            self.csi(node, t, seq)

    # faults

    def fault(self, stage: FaultStage, t: int, fault: str = "cut-1") -> FaultChange:
        return self.add(FaultChange(t, fault, "cut", stage, {"t_ns": t}))

    @property
    def hub(self) -> str:
        hub = self.context.scenario.coordinator
        return hub.id if hub else "coord"

    def number(self, node: str) -> int:
        return self.context.scenario.node(node).number

    def link_between(self, a: str, b: str) -> str:
        return link_between(self.context.network, a, b)


def make_swarm(
    sensors: int = 2,
    topology: Topology = Topology.STAR,
    roles: dict[str, Role] | None = None,
    faults: tuple[FaultSpec, ...] = (),
    checks: tuple[CheckSpec, ...] = (),
) -> Swarm:
    names = ["coord", *(f"s{number}" for number in range(1, sensors + 1))]
    given = {"coord": Role.COORDINATOR} if roles is None else roles
    nodes = tuple(
        NodeSpec(name, number, role=given.get(name, Role.SENSOR), tdm_slot=number) for number, name in enumerate(names)
    )
    scenario = Scenario("paper", 60 * S, 0, TimeMode.REAL, NetworkSpec(topology), nodes, faults, checks)
    return Swarm(CheckContext(scenario, plan_network(scenario, [NodePlan(node, ()) for node in nodes])))


@pytest.fixture
def swarm():
    """A coordinator and two sensors in a star."""
    return make_swarm()


@pytest.fixture
def swarm_of():
    """make_swarm itself."""
    return make_swarm


def _write_former(swarm: Swarm, directory: Path, until: int = 20 * S, **changes) -> Path:
    """The results.json of a run in which these were the facts, as far as comparisons read it."""
    meter = Meter(swarm.context)
    for fact in swarm.facts:
        meter.observe(fact)
    scenario = swarm.context.scenario
    document = {
        "format": 1,
        "run": {
            "id": "former01",
            "name": scenario.name,
            "topology": scenario.network.topology,
            "network": scenario.network.mode,
            "time": scenario.time,
            "seed": scenario.seed,
            "planned_s": scenario.duration_ns / S,
            "interrupted": False,
        },
        "verdict": "PASS",
        "nodes": [{"id": node.id, "role": node.role} for node in scenario.nodes],
        "faults": [{"id": fault.id} for fault in scenario.faults],
        "metrics": meter.values(until),
    }
    document["run"] |= changes.pop("run", {})
    path = directory / "results.json"
    path.write_text(json.dumps(document | changes))
    return path


@pytest.fixture
def write_former():
    """write_former(swarm, directory): makes a former run of a swarm's facts."""
    return _write_former


def _assert_judged(judgement: Judgement | None, outcome: Outcome, *words: str) -> Judgement:
    assert judgement is not None
    assert judgement.outcome is outcome, judgement.message
    for word in words:
        assert word in judgement.message, judgement.message
    return judgement


@pytest.fixture
def judged():
    """judged(judgement, outcome, *words): the outcome is this and the message has these words."""
    return _assert_judged
