"""Guests that need no emulator, the plain sequential simulation of them, and a driver of the coordinator."""

import hashlib
from functools import partial
from heapq import heappop, heappush

from swarmrig.model.network import DevicePlan, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.timebase.coordinator import Coordinator
from swarmrig.timebase.distance import Distances, links_as_they_are

END_NS = 200_000


def mac(index):
    return bytes([2, 0, 0, 0, 0, index])


class Guest:
    """A deterministic little machine: acts on timers and inputs, answers some inputs a moment later."""

    def __init__(self, index, others, timers):
        self.index, self.others = index, others
        self.agenda = [(t_ns, 0, b"") for t_ns in sorted(timers)]
        self.log = []
        self.count = 0

    def next_ns(self):
        return self.agenda[0][0] if self.agenda else None

    def input(self, t_ns, frame):
        heappush(self.agenda, (t_ns, 1, frame))

    def step(self):
        """Act once; returns what is transmitted: (t_ns, frame)."""
        t_ns, kind, frame = heappop(self.agenda)
        self.log.append((t_ns, kind, frame))
        digest = hashlib.blake2b(repr((self.index, t_ns, kind, frame, len(self.log))).encode(), digest_size=4).digest()
        if kind == 2 or (kind == 0 and digest[0] % 4):
            return [(t_ns, self._frame(digest))]
        if kind == 1 and digest[0] % 3 == 0:  # answer at once, or after a while by a timer
            if digest[1] % 2:
                return [(t_ns, self._frame(digest))]
            heappush(self.agenda, (t_ns + 1 + digest[2] * 7, 2, b""))
        return []

    def _frame(self, digest):
        self.count += 1
        target = b"\xff" * 6 if digest[3] % 5 == 0 else mac(self.others[digest[3] % len(self.others)])
        return target + mac(self.index) + b"\x88\xb5" + bytes([self.count % 256]) + digest


def network(guests, latencies, impairment):
    """A star: guest 0 sits at the switch by a perfect wire, the others have links of their own."""
    devices = [DevicePlan("g0", "02:00:00:00:00:00", "g0")]
    links = [LinkPlan("g0", "g0", "sw", Impairment(latency_ns=0), Impairment(latency_ns=0), access=True)]
    for index in range(1, guests):
        name = f"g{index}"
        devices.append(DevicePlan(name, f"02:00:00:00:00:{index:02x}", f"g0--{name}"))
        one = Impairment(latency_ns=latencies[index], **impairment)
        links.append(LinkPlan(f"g0--{name}", "sw", name, one, one))
    return NetworkPlan(3, tuple(devices), tuple(links), switches=(SwitchPlan("sw"),))


def sequential(plan, guests, changes=()):
    """As `sequential_with`, with changes of links (time, link, fields)."""
    doings = [(t_ns, link, partial(change_link, fields)) for t_ns, link, fields in changes]
    return sequential_with(plan, guests, doings)


def change_link(fields, engine, t_ns, link):
    engine.set_link(t_ns, link, fields)


def sequential_with(plan, guests, doings=(), end_ns=END_NS):
    """The reference: one agenda, at one instant the network first, then guests by index. What is done to a link (time,
    link, what: of the engine, the time and the link) comes before everything else of its time."""
    engine = Engine(plan)
    doings = sorted(doings, key=lambda doing: doing[0])
    for guest in guests:
        engine.attach(f"g{guest.index}", guest.input)
    while True:
        network_ns = engine.next_ns()
        guest_ns, index = min(((guest.next_ns(), guest.index) for guest in guests if guest.agenda), default=(end_ns, 0))
        if doings and doings[0][0] <= min(guest_ns, end_ns if network_ns is None else network_ns):
            t_ns, link, act = doings.pop(0)
            act(engine, t_ns, link)
            continue
        if network_ns is not None and network_ns <= guest_ns and network_ns < end_ns:
            engine.advance_one()
        elif guest_ns < end_ns:
            for t_ns, frame in guests[index].step():
                engine.send(t_ns, f"g{index}", frame)
        else:
            return [guest.log for guest in guests]


class Driver:
    """What the virtual loop does, with guests that report in any order."""

    def __init__(self, plan, guests, order, *, make=Coordinator, end_ns=END_NS, outside=(), **settings):
        self.guests, self.order, self.outside = guests, order, outside
        self.engine = Engine(plan, captures={link.name: partial(self.on_frame, link.name) for link in plan.links})
        inboxes = [(f"g{guest.index}", Agenda()) for guest in guests]
        for device, inbox in inboxes:
            self.engine.collect(device, inbox)
        self.names = [device for device, _ in inboxes]
        self.coordinator = make(self.engine, inboxes, Distances(plan, self.names, outside), end_ns, **settings)
        self.running = {guest.index: (0, []) for guest in guests}

    def on_frame(self, link, record):
        """A frame has entered a link."""

    def on_step(self, guest, t_ns):
        """A guest has acted."""

    def until(self, t_ns):
        """Everybody lives up to a stop."""
        self.coordinator.set_barrier(t_ns)
        while self.running or not self.coordinator.arrived:
            if self.running:
                self.report(self.order.choice(sorted(self.running)))
            self.coordinator.settle()
            granted = self.coordinator.grants()
            assert granted or self.running or self.coordinator.arrived, "nobody may go on"
            for grant in granted:
                self.running[grant.guest] = (grant.horizon_ns, grant.inputs)

    def report(self, index):
        horizon_ns, inputs = self.running.pop(index)
        guest, frames = self.guests[index], []
        for t_ns, frame in inputs:
            guest.input(t_ns, frame)
        while guest.agenda and guest.next_ns() < horizon_ns:
            t_ns = guest.next_ns()
            frames += guest.step()
            self.on_step(guest, t_ns)
        self.coordinator.report(index, horizon_ns, guest.next_ns(), frames)

    def change(self, t_ns, link, fields):
        self.engine.set_link(t_ns, link, fields)
        self.coordinator.set_distances(Distances(links_as_they_are(self.engine), self.names, self.outside))

    @property
    def lives(self):
        return [guest.log for guest in self.guests]
