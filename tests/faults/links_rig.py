"""A real engine with talking nodes, and one fault in it: what the captures show is all that the fault gets to know."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio

from swarmrig.api import FaultContext, NodePlan, StepResult
from swarmrig.model.facts import FaultStage, Frame
from swarmrig.model.network import Fate, Impairment
from swarmrig.model.scenario import FaultSpec, LinkSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.engine import Engine
from swarmrig.net.evidence import fate_of
from swarmrig.net.topology import plan_network
from swarmrig.plugins import Registry
from swarmrig.wire.arp import Arp, reply_frame
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

MS, S = 1_000_000, 1_000_000_000
STEP = 10 * MS
START, END = 300 * MS, 2300 * MS
"""When a fault is injected and, by default, healed."""


class Mute:
    """Stands in for the aggregator."""

    resolution_ns = 1

    def __init__(self, device):
        pass

    def deliver(self, t_ns, frame): ...

    def advance(self, horizon_ns):
        return StepResult([], [])

    def next_deadline_ns(self):
        return None

    def report(self):
        return {}


def make_scenario(
    topology=Topology.STAR, count=4, impairment=None, links: Sequence[tuple[str, str]] = (), time=TimeMode.VIRTUAL
):
    names = ("coord", "s1", "s2", "s3", "s4", "s5")[:count]
    nodes = tuple(
        NodeSpec(name, number, role=Role.SENSOR if number else Role.COORDINATOR) for number, name in enumerate(names)
    )
    impairment = impairment or Impairment()
    network = NetworkSpec(topology, impairment=impairment, links=tuple(LinkSpec(pair, impairment) for pair in links))
    scenario = Scenario("t", 60 * S, 3, time, network, nodes)
    return scenario, plan_network(scenario, [NodePlan(node, ()) for node in nodes])


def make_spec(kind, params, for_ns=END - START, at_ns=START, **more):
    fault = Registry.load().fault(kind)
    return FaultSpec(f"{kind}-1", kind, at_ns, for_ns, fault.params_model(**params).model_dump(), **more)


class Links:
    """The rig's control of the links, on an engine that stands at the present."""

    def __init__(self, rig):
        self.rig = rig

    async def set_link(self, link, changes, *, direction=None, layer=None, frames=None):
        self.rig.engine.set_link(self.rig.now, link, changes, direction, layer=layer, frames=frames)
        return self.rig.now

    async def set_filter(self, link, filter_text, *, direction=None, layer=""):
        self.rig.engine.set_filter(self.rig.now, link, filter_text, direction, layer=layer)
        return self.rig.now

    async def inject_frames(self, link, sender_end, frames):
        return self.rig.engine.inject(self.rig.now, link, sender_end, frames)

    async def recorded_frames(self, link, sender_end, since_ns):
        interface = 0 if self.rig.plan.link(link).a == sender_end else 1
        return [(t, data) for t, end, data, _ in self.rig.records[link] if end == interface and t >= since_ns]


class Idle(Links):
    """An injector that says it has done everything and does nothing."""

    async def set_link(self, link, changes, *, direction=None, layer=None, frames=None):
        return self.rig.now

    async def set_filter(self, link, filter_text, *, direction=None, layer=""):
        return self.rig.now

    async def inject_frames(self, link, sender_end, frames):
        return max(self.rig.now, frames[0][0])


class Rig:
    """Everybody sends to the coordinator, and it answers, every `gap_ns`, from the beginning."""

    def __init__(self, kind, params, for_ns=END - START, *, links=Links, heal_links=None, lag=0, gap_ns=20 * MS,
                 nodes=None, plans=None, **scenario):  # fmt: skip
        self.scenario, self.plan = make_scenario(**scenario)
        self.records = {link.name: [] for link in self.plan.links}
        self.engine = Engine(
            self.plan, captures={name: each.append for name, each in self.records.items()}, make_node=Mute
        )
        self.now = 0
        self.gap_ns = gap_ns
        self.talking = True
        self.sent = 0
        self.told = dict.fromkeys(self.records, 0)
        self.lag, self.facts = lag, []
        self.stages: list[tuple[FaultStage, int]] = []
        self.evidence: list[dict] = []
        self.gateways: dict[str, str] = {}
        for device in self.plan.devices:
            if device.factory is None:
                self.engine.attach(device.name, self._station(device))
        self.spec = make_spec(kind, params, for_ns)
        self._controls = links(self), (heal_links or links)(self)
        self.links = self
        context = FaultContext(
            scenario=self.scenario,
            network=self.plan,
            links=self._controls[0],
            nodes=nodes or {},
            now_ns=lambda: self.now,
            emit=self._emit,
            random=random.Random(1),
            wait_until=self._wait_until,
            faults=None,
            plans=plans or {},
        )
        self.context = context
        self.fault = Registry.load().fault(kind)(self.spec, context)

    def live(self, after_ns=1500 * MS):
        """The whole life: before, injected, held, healed, after. Returns the proof."""
        self.run(START)
        anyio.run(self.fault.inject)
        if hasattr(self.fault, "hold"):
            anyio.run(self.fault.hold, START + (self.spec.for_ns or END - START))  # nobody heals: to the end
        elif self.spec.for_ns is not None:
            self.run(START + self.spec.for_ns)
        if self.spec.for_ns is not None:
            object.__setattr__(self.context, "links", self._controls[1])
            anyio.run(self.fault.heal)
        self.run(self.now + after_ns)
        return self.conclude()

    def conclude(self):
        self._tell(everything=True)
        getattr(self.fault, "conclude", lambda: None)()
        return self.fault.proved()

    def run(self, until_ns):
        while self.now < until_ns:
            if self.talking and self.now % self.gap_ns == 0:
                self._talk()
            self.now += STEP
            self.engine.advance(self.now - 1)
            self._tell()

    async def _wait_until(self, t_ns):
        self.run(t_ns)

    def _emit(self, stage, data):
        self.stages.append((stage, data.get("t_ns", self.now)))
        self.evidence.append(dict(data))

    def _station(self, device):
        def receive(t_ns, data):
            frame = Ethernet.parse(data)
            if frame.type == EtherType.ARP and (arp := Arp.parse(frame.payload)).op == 1 and arp.target_ip == device.ip:
                self.engine.send(t_ns, device.name, reply_frame(device.mac, arp))

        return receive

    def _talk(self):
        hub, *others = [device for device in self.plan.devices if device.factory is None]
        for other in others:
            for sender, receiver in ((other, hub), (hub, other)):
                self.send(sender, receiver)

    def send(self, sender, receiver, payload=b"x" * 40):
        self.sent += 1
        packet = Ipv4(sender.ip, receiver.ip, Protocol.UDP, Udp(5000, 5005, payload).pack(sender.ip, receiver.ip),
                      id=self.sent & 0xFFFF).pack()  # fmt: skip
        mac = receiver.mac if sender.gateway is None else self._router_mac(sender.link)
        self.engine.send(self.now, sender.name, Ethernet(mac, sender.mac, EtherType.IPV4, packet).pack())

    def _router_mac(self, link):
        return next(foot.mac for router in self.plan.routers for foot in router.interfaces if foot.link == link)

    def _tell(self, everything=False):
        """What was recorded becomes known, in order of time, maybe later."""
        new = []
        for link, records in self.records.items():
            ends = self.plan.link(link)
            for number, (t_ns, end, data, comment) in enumerate(records[self.told[link] :], self.told[link] + 1):
                fate = fate_of(comment)
                delivered = not fate.modelled_drop and fate is not Fate.OVERRUN
                new.append(Frame(t_ns, link, (ends.a, ends.b)[end], number, data, fate, delivered, comment or ""))
            self.told[link] = len(records)
        self.facts += sorted(new, key=lambda frame: frame.t_ns)
        while self.facts and (everything or self.facts[0].t_ns <= self.now - self.lag):
            self.fault.observe(self.facts.pop(0))
