"""Guests and an outside that sends whenever it likes: the lives of the sequential simulation in which it sends at the
times that its frames were given; and nobody is further ahead of the clock than may be."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import Driver, Guest, mac, network, sequential_with

from swarmrig.net.link import Agenda
from swarmrig.timebase.coordinator import NEVER
from swarmrig.timebase.pace import LEAD_NS, SLICE_NS, next_slice_ns, reaching_ns
from swarmrig.timebase.paced_coordinator import WAITING_LIMIT, PacedCoordinator

END_NS = 30_000_000


class Scripted:
    """The outside, for the reference: sends what it sent, when that was said to be."""

    def __init__(self, index, sends):
        self.index = index
        self.agenda = sorted(sends, key=lambda send: send[0])
        self.log = []

    def next_ns(self):
        return self.agenda[0][0]

    def input(self, t_ns, frame):
        self.log.append((t_ns, frame))

    def step(self):
        return [self.agenda.pop(0)]


class Paced(Driver):
    """The last device of the network is outside. `moves`: by how much the clock goes on at a time."""

    def __init__(self, plan, guests, order, moves, arrivals, **settings):
        self.name = plan.devices[-1].name
        super().__init__(plan, guests, order, make=PacedCoordinator, end_ns=END_NS, outside=[self.name], **settings)
        self.inbox = Agenda()
        self.engine.collect(self.name, self.inbox)
        self.moves, self.arrivals = moves, sorted(arrivals)
        self.clock_ns = 0
        self.stamped = []

    def until(self, t_ns):
        """The clock goes on when nobody has anything to do, to the next time that matters or a little further."""
        self.coordinator.set_barrier(t_ns)
        while self.running or not self.coordinator.arrived:
            if self.running and self.order.random() < 0.8:
                self.report(self.order.choice(sorted(self.running)))
            elif not self.running or self.order.random() < 0.3:
                self.move_clock()
            self.coordinator.settle()
            for grant in self.coordinator.grants():
                assert grant.horizon_ns <= next_slice_ns(self.clock_ns) + LEAD_NS
                self.running[grant.guest] = (grant.horizon_ns, grant.inputs)

    def move_clock(self):
        wake_ns = self.coordinator.wake_ns()
        assert wake_ns > self.clock_ns
        if self.running:
            wake_ns = min(wake_ns, self.clock_ns + self.moves())
        self.clock_ns = max(self.clock_ns, min(wake_ns, END_NS) + self.order.choice([0, 0, self.moves()]))
        self.coordinator.heed(self.clock_ns)
        while self.arrivals and self.arrivals[0][0] <= self.clock_ns:
            _, frame = self.arrivals.pop(0)
            self.coordinator.enter(self.name, frame)
            self.stamped.append((next_slice_ns(self.clock_ns), frame))

    @property
    def received(self):
        """What the outside has been sent, up to the end."""
        return sorted((t_ns, frame) for t_ns, _, _, frame in self.inbox.heap if t_ns < END_NS)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 4), jitter_ns=st.sampled_from([0, 700_000]))
def test_any_clock_gives_the_life_of_the_sequential_simulation(seed, count, jitter_ns):
    chance = random.Random(seed)
    slowest_ns = chance.choice([300_000, 3_000_000, 9_000_000])
    plan = network(count + 1, [chance.randint(1, slowest_ns) for _ in range(5)], {"jitter_ns": jitter_ns})
    timers = [[chance.randrange(END_NS) for _ in range(8)] for _ in range(count)]
    frames = [(chance.randrange(END_NS), from_outside(count, number, chance)) for number in range(12)]

    def guests():
        return [Guest(i, [j for j in range(count + 1) if j != i], timers[i]) for i in range(count)]

    driver = Paced(plan, guests(), chance, lambda: chance.randrange(1, 3_000_000), frames)
    for stop in (*sorted(chance.sample(range(1, END_NS), chance.randint(0, 2))), END_NS):
        driver.until(stop)
        assert driver.clock_ns >= stop
    scripted = Scripted(count, driver.stamped)
    *expected, received = sequential_with(plan, [*guests(), scripted], end_ns=END_NS)
    assert driver.lives == expected
    assert driver.received == sorted(received)


def from_outside(count, number, chance):
    target = chance.choice([b"\xff" * 6, *map(mac, range(count))])
    return target + mac(count) + b"\x88\xb5" + bytes([number]) + b"from outside"


def test_slices_are_reached_when_they_can_be_promised():
    for clock_ns in (0, 1, SLICE_NS - 1, SLICE_NS, 7 * SLICE_NS + 5):
        assert next_slice_ns(clock_ns) > clock_ns
        assert next_slice_ns(clock_ns) % SLICE_NS == 0
    for edge_ns in (1, SLICE_NS - 1, SLICE_NS, SLICE_NS + 1, 5 * SLICE_NS):
        reading_ns = reaching_ns(edge_ns)
        assert next_slice_ns(reading_ns) >= edge_ns
        assert reading_ns == 0 or next_slice_ns(reading_ns - 1) < edge_ns


def alone():
    """One guest that has nothing to do, and the outside."""
    plan = network(2, [0, 5_000_000], {})
    driver = Paced(plan, [Guest(0, [1], [])], random.Random(1), lambda: 1, [])
    driver.report(0)
    return driver


def test_nothing_happens_before_the_clock_goes():
    driver = alone()
    driver.coordinator.set_barrier(END_NS)
    driver.coordinator.settle()
    assert driver.coordinator.grants() == []
    assert not driver.coordinator.stuck
    assert driver.coordinator.floor_ns == 0


def test_a_stop_is_not_reached_before_the_clock_is_there():
    driver = alone()
    driver.coordinator.set_barrier(5 * SLICE_NS)
    driver.coordinator.heed(4 * SLICE_NS)
    (grant,) = driver.coordinator.grants()
    assert grant.horizon_ns == 5 * SLICE_NS
    driver.coordinator.report(0, grant.horizon_ns, None, ())
    assert not driver.coordinator.standing
    assert driver.coordinator.wake_ns() == 5 * SLICE_NS
    driver.coordinator.heed(5 * SLICE_NS)
    assert driver.coordinator.arrived


def test_what_finds_no_room_is_counted():
    driver = alone()
    driver.coordinator.heed(1)
    frame = mac(0) + mac(1) + b"\x88\xb5"
    for _ in range(WAITING_LIMIT + 3):
        driver.coordinator.enter("g1", frame)
    assert driver.coordinator.lost == 2


def test_where_the_clock_prevents_nothing_it_need_not_wake():
    driver = alone()
    driver.coordinator.remove(0)
    driver.coordinator.set_barrier(SLICE_NS)
    driver.coordinator.heed(2 * SLICE_NS)
    assert driver.coordinator.wake_ns() == NEVER
