"""Faults observe facts in order of time, whatever the order and the batches in which they become known."""

import random
from types import SimpleNamespace

import pytest

from swarmrig.api import Proof, ProofStatus
from swarmrig.model.facts import ConsoleLine, FaultChange, FaultStage, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.runtime.clock import RealClock
from swarmrig.runtime.plan import PlannedFault
from swarmrig.runtime.schedule import Schedule

S = 1_000_000_000


class Listening:
    """Notes what it observes, and when."""

    heard: list

    def __init__(self, spec, context):
        Listening.heard = []

    def observe(self, fact):
        Listening.heard.append(fact)

    def proved(self):
        return Proof(ProofStatus.PROVED, "heard")


@pytest.fixture
def schedule():
    spec = FaultSpec("x-1", "x", 5 * S, None, {})
    scenario = Scenario("paper", 60 * S, 0, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 0),), (spec,))
    planned = PlannedFault(spec, Listening, "listen")
    plan = SimpleNamespace(scenario=scenario, network=None, nodes=(), faults=(planned,))
    return Schedule(plan, RealClock.starting_now(), None, {}, lambda change: None)


def line(t_ns, node="a", number=1):
    return ConsoleLine(t_ns, node, number, "")


def frame(t_ns, link="l", number=1):
    return Frame(t_ns, link, "a", number, b"", Fate.DELIVERED, True)


def test_nothing_is_observed_before_all_of_its_time_is_known(schedule):
    schedule.observe(line(2))
    schedule.observe(line(1, "b"))
    assert Listening.heard == []
    schedule.settle(1)
    assert Listening.heard == [line(1, "b")]
    schedule.settle(2)
    assert Listening.heard == [line(1, "b"), line(2)]


def test_what_other_faults_do_is_told_at_once(schedule):
    schedule.observe(line(1))
    change = FaultChange(3, "y-1", "y", FaultStage.INJECTED)
    schedule.observe(change)
    assert Listening.heard == [change]


def test_in_the_end_all_has_been_observed(schedule):
    schedule.observe(line(7))
    schedule.conclude()
    assert Listening.heard == [line(7)]


@pytest.mark.parametrize("seed", range(20))
def test_batches_make_no_difference(schedule, seed):
    sources = [
        [line(t, "a", t) for t in range(0, 40, 2)],
        [line(t, "b", t) for t in range(0, 40, 3)],
        [frame(t, "l", t) for t in range(0, 40, 2)],
        [NodeChange(t, "a", NodeState.STARTED) for t in (5, 6)],
    ]
    expected = [fact for t in range(40) for fact in in_order(sources, t)]
    chance, known = random.Random(seed), -1
    while known < 40:
        horizon = known + chance.randint(1, 9)
        read = list(sources)
        chance.shuffle(read)  # whichever console or capture is read first
        for source in read:
            for fact in source:
                if known < fact.t_ns <= horizon:
                    schedule.observe(fact)
        known = horizon
        schedule.settle(known)
    assert Listening.heard == expected


def in_order(sources, t):
    facts = [fact for source in sources for fact in source if fact.t_ns == t]
    return sorted(facts, key=lambda fact: (type(fact).__name__, getattr(fact, "link", None) or fact.node))
