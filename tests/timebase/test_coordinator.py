"""The coordinator against a plain sequential simulation: the same lives, in whatever order guests report."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import END_NS, Driver, Guest, mac, network, sequential, sequential_with

from swarmrig.model.network import GilbertElliott
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.timebase.coordinator import CausalityError, Coordinator
from swarmrig.timebase.distance import Distances, links_as_they_are


def coordinated(plan, guests, order, barriers=(), **settings):
    driver = Driver(plan, guests, order, **settings)
    for stop in (*sorted(barriers), END_NS):
        driver.until(stop)
    return driver.lives


IMPAIRMENTS = (
    {},
    {"jitter_ns": 900},
    {"loss": 0.2, "duplicate": 0.2, "corrupt": 0.1},
    {"burst": GilbertElliott(0.2, 0.3), "rate_bps": 50_000_000},
)


@settings(max_examples=60, deadline=None)
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
    assert coordinated(plan, fresh(), random.Random(seed + 1), barriers, quantum_ns=seed + 1) == expected


def some_guests(count, timers):
    return [Guest(i, [j for j in range(count) if j != i], timers[i]) for i in range(count)]


LIVES = {
    "count": st.integers(2, 5),
    "latencies": st.lists(st.integers(1, 9000), min_size=5, max_size=5),
    "timers": st.lists(st.lists(st.integers(0, END_NS - 1), max_size=12), min_size=5, max_size=5),
    "seed": st.integers(0, 999),
}


@settings(max_examples=60, deadline=None)
@given(
    **LIVES,
    impairment=st.sampled_from(IMPAIRMENTS),
    changes=st.lists(
        st.tuples(
            st.integers(1, END_NS - 1),
            st.integers(1, 4),
            st.one_of(
                st.builds(lambda ns: {"latency_ns": ns}, st.integers(2, 30_000)),
                st.builds(lambda p, ns: {"reorder": p, "latency_ns": ns}, st.floats(0, 1), st.integers(2, 9000)),
                st.just({"up": False}),
            ),
        ),
        max_size=5,
        unique_by=lambda change: change[0],
    ),
)
def test_links_that_change_on_the_way_change_the_lookahead(count, latencies, timers, seed, impairment, changes):
    """Also to lower latencies: who is let run by the former ones would be in the past of what comes now."""
    plan = network(count, [max(2, latency) for latency in latencies], impairment)
    changes = sorted((t_ns, f"g0--g{1 + link % (count - 1)}", fields) for t_ns, link, fields in changes)
    expected = sequential(plan, some_guests(count, timers), changes)
    driver = Driver(plan, some_guests(count, timers), random.Random(seed))
    for change in changes:
        driver.until(change[0])
        driver.change(*change)
    driver.until(END_NS)
    assert driver.lives == expected


FRAME = mac(1) + mac(0) + b"\x88\xb5" + b"injected"
DOINGS = st.one_of(
    st.builds(
        lambda end, gaps: (
            lambda engine, t_ns, link: engine.inject(
                t_ns,
                link,
                (engine.plan.link(link).a, engine.plan.link(link).b)[end],
                [(t_ns + gap, FRAME) for gap in gaps],
            )
        ),
        st.integers(0, 1),
        st.lists(st.integers(0, 20_000), min_size=1, max_size=4),
    ),
    st.builds(
        lambda name, fields, frames: (
            lambda engine, t_ns, link: engine.set_link(
                t_ns, link, fields, layer=name, frames=frames if fields else None
            )
        ),
        st.sampled_from("xy"),
        st.sampled_from([{}, {"corrupt": 1.0}, {"reorder": 1.0}, {"loss": 1.0, "duplicate": 1.0}]),
        st.none() | st.integers(1, 3),
    ),
    st.builds(
        lambda text: lambda engine, t_ns, link: engine.set_filter(t_ns, link, text, layer="z"),
        st.sampled_from([None, "eth.dst == ff:ff:ff:ff:ff:ff", "eth.src == 02:00:00:00:00:01"]),
    ),
)
"""What is done to a link at a stop, as fault(engine, t_ns, link)."""


@settings(max_examples=60, deadline=None)
@given(
    **LIVES,
    doings=st.lists(
        st.tuples(st.integers(1, END_NS - 1), st.integers(0, 4), DOINGS), max_size=6, unique_by=lambda doing: doing[0]
    ),
)
def test_frames_that_nobody_sent_layers_and_filters_act_at_their_exact_times(count, latencies, timers, seed, doings):
    plan = network(count, [max(2, latency) for latency in latencies], {"jitter_ns": 900})
    links = [link.name for link in plan.links]
    doings = sorted(doings, key=lambda doing: doing[0])

    def lives(order):
        driver = Driver(plan, some_guests(count, timers), order)
        for t_ns, link, act in doings:
            driver.until(t_ns)
            act(driver.engine, t_ns, links[link % count])
            driver.coordinator.set_distances(Distances(links_as_they_are(driver.engine), driver.names))
        driver.until(END_NS)
        return driver.lives

    expected = sequential_with(plan, some_guests(count, timers), [(t, links[n % count], act) for t, n, act in doings])
    assert lives(random.Random(seed)) == expected


@settings(max_examples=30, deadline=None)
@given(**LIVES, frames=st.integers(1, 5), t_ns=st.integers(1, END_NS // 2))
def test_a_change_that_goes_by_itself_was_reckoned_with(count, latencies, timers, seed, frames, t_ns):
    """For so many frames no frame overtakes another; then they may again, at a time that nobody knows beforehand."""
    plan = network(count, [max(2, latency) for latency in latencies], {"reorder": 0.7})
    lives = []
    for order in (seed, seed + 1):
        driver = Driver(plan, some_guests(count, timers), random.Random(order))
        driver.until(t_ns)
        for index in range(1, count):
            driver.engine.set_link(t_ns, f"g0--g{index}", {"reorder": 0.0}, layer="calm", frames=frames)
        driver.coordinator.set_distances(Distances(links_as_they_are(driver.engine), driver.names))
        driver.until(END_NS)
        lives.append(driver.lives)
    assert lives[0] == lives[1]


class Watching(Driver):
    """Somebody waits for the n-th act of a guest, or the n-th frame that enters a link."""

    def __init__(self, *details, watched, nth, reaction_ns, **settings):
        self.watched, self.left, self.seen_ns = watched, nth, None
        super().__init__(*details, reaction_ns=reaction_ns, **settings)
        self.reaction_ns = reaction_ns
        self.coordinator.watching = True

    def on_frame(self, link, record):
        self.count(link, record[0])

    def on_step(self, guest, t_ns):
        self.count(guest.index, t_ns)

    def count(self, what, t_ns):
        if what != self.watched or self.seen_ns is not None:
            return
        self.left -= 1
        if self.left == 0:
            self.seen_ns = t_ns
            self.coordinator.watching = False
            self.coordinator.set_barrier(t_ns + self.reaction_ns)
            assert self.coordinator.front_ns <= t_ns + self.reaction_ns, "somebody has passed the stop"
            assert self.engine.now_ns <= t_ns + self.reaction_ns


@settings(max_examples=60, deadline=None)
@given(
    **LIVES,
    watched=st.one_of(st.integers(0, 4), st.integers(1, 4).map(lambda i: f"g0--g{i}")),
    nth=st.integers(1, 6),
    reaction_ns=st.integers(1, 20_000),
)
def test_a_stop_after_something_seen_is_in_nobodys_past(count, latencies, timers, seed, watched, nth, reaction_ns):
    """At exactly that time, whatever the order of reports; everything before has happened, and nothing after."""
    plan = network(count, latencies, {})
    stops, lives = set(), []
    for order in (seed, seed + 1):
        driver = Watching(
            plan, some_guests(count, timers), random.Random(order), watched=watched, nth=nth, reaction_ns=reaction_ns
        )
        driver.until(END_NS)
        stops.add(driver.seen_ns)
        stop_ns = END_NS if driver.seen_ns is None else min(END_NS, driver.seen_ns + reaction_ns)
        assert all(t_ns < stop_ns for log in driver.lives for t_ns, *_ in log)
        driver.until(END_NS)
        lives.append(driver.lives)
    assert len(stops) == 1
    assert lives[0] == lives[1] == sequential(plan, some_guests(count, timers))


def test_nobody_runs_further_ahead_than_the_reaction_while_somebody_watches():
    plan = network(3, [0, 50_000, 50_000], {})
    timers = [[10], [20], [30]]
    driver = Watching(plan, some_guests(3, timers), random.Random(1), watched=99, nth=1, reaction_ns=500)
    for index in range(3):
        driver.report(index)
    driver.coordinator.settle()
    assert {grant.horizon_ns for grant in driver.coordinator.grants()} == {510}


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
