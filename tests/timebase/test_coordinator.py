"""The coordinator against a plain sequential simulation: the same lives, in whatever order guests report."""

import hashlib
import random
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import DevicePlan, GilbertElliott, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.timebase.coordinator import CausalityError, Coordinator
from swarmrig.timebase.distance import Distances

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


def sequential(plan, guests):
    """The reference: one agenda, at one instant the network first, then guests by index."""
    engine = Engine(plan)
    for guest in guests:
        engine.attach(f"g{guest.index}", guest.input)
    while True:
        network_ns = engine.next_ns()
        guest_ns, index = min(((guest.next_ns(), guest.index) for guest in guests if guest.agenda), default=(END_NS, 0))
        if network_ns is not None and network_ns <= guest_ns and network_ns < END_NS:
            engine.advance_one()
        elif guest_ns < END_NS:
            for t_ns, frame in guests[index].step():
                engine.send(t_ns, f"g{index}", frame)
        else:
            return [guest.log for guest in guests]


def coordinated(plan, guests, order, barriers=()):
    engine = Engine(plan)
    inboxes = [(f"g{guest.index}", Agenda()) for guest in guests]
    for device, inbox in inboxes:
        engine.collect(device, inbox)
    coordinator = Coordinator(engine, inboxes, Distances(plan, [device for device, _ in inboxes]), END_NS)
    stops = [*sorted(barriers), END_NS]
    coordinator.set_barrier(stops.pop(0))
    running = {guest.index: (0, []) for guest in guests}
    while True:
        if not running:
            coordinator.settle()
            granted = coordinator.grants()
            if not granted and coordinator.arrived:
                if not stops:
                    return [guest.log for guest in guests]
                coordinator.set_barrier(stops.pop(0))
                continue
            assert granted, "nobody may go on"
        else:
            index = order.choice(sorted(running))
            horizon_ns, inputs = running.pop(index)
            guest, frames = guests[index], []
            for t_ns, frame in inputs:
                guest.input(t_ns, frame)
            while guest.agenda and guest.next_ns() < horizon_ns:
                frames += guest.step()
            coordinator.report(index, horizon_ns, guest.next_ns(), frames)
            coordinator.settle()
            granted = coordinator.grants()
        for grant in granted:
            running[grant.guest] = (grant.horizon_ns, grant.inputs)


IMPAIRMENTS = (
    {},
    {"jitter_ns": 900},
    {"loss": 0.2, "duplicate": 0.2, "corrupt": 0.1},
    {"burst": GilbertElliott(0.2, 0.3), "rate_bps": 50_000_000},
)


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(2, 5),
    latencies=st.lists(st.integers(1, 9000), min_size=5, max_size=5),
    impairment=st.sampled_from(IMPAIRMENTS),
    timers=st.lists(st.lists(st.integers(0, END_NS - 1), max_size=12), min_size=5, max_size=5),
    seed=st.integers(0, 999),
    barriers=st.lists(st.integers(1, END_NS - 1), max_size=3),
)
def test_any_order_of_reports_gives_the_life_of_the_sequential_simulation(
    count, latencies, impairment, timers, seed, barriers
):
    def fresh():
        return [Guest(i, [j for j in range(count) if j != i], timers[i]) for i in range(count)]

    plan = network(count, latencies, impairment)
    expected = sequential(plan, fresh())
    assert coordinated(plan, fresh(), random.Random(seed)) == expected
    assert coordinated(plan, fresh(), random.Random(seed + 1), barriers) == expected


def test_a_guest_without_work_is_not_woken():
    plan = network(3, [0, 5000, 5000], {})
    guests = [Guest(0, [1, 2], [10_000]), Guest(1, [0, 2], []), Guest(2, [0, 1], [])]
    engine = Engine(plan)
    inboxes = [(f"g{i}", Agenda()) for i in range(3)]
    for device, inbox in inboxes:
        engine.collect(device, inbox)
    coordinator = Coordinator(engine, inboxes, Distances(plan, ["g0", "g1", "g2"]), END_NS)
    for guest in guests:
        coordinator.report(guest.index, 0, guest.next_ns(), [])
    assert [grant.guest for grant in coordinator.grants()] == [0]


def test_an_input_into_the_past_is_an_error():
    plan = network(2, [0, 5000], {})
    engine = Engine(plan)
    inboxes = [("g0", Agenda()), ("g1", Agenda())]
    for device, inbox in inboxes:
        engine.collect(device, inbox)
    coordinator = Coordinator(engine, inboxes, Distances(plan, ["g0", "g1"]), END_NS)
    coordinator.report(0, 50_000, 60_000, [(10, mac(1) + mac(0) + b"\x88\xb5")])
    with pytest.raises(CausalityError, match="g1"):
        coordinator.report(1, 90_000, None, [])
        coordinator.settle()
