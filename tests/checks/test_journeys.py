"""Journeys: each frame from its sender's port to the target's, whichever capture is read first."""

import random

import pytest

from swarmrig.checks.journeys import Journeys, targets
from swarmrig.model.network import Fate
from swarmrig.model.scenario import Role, Topology

S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def travelled():
    """travelled(swarm, to): the journey of s1 in these facts."""

    def travel(swarm, to="hub", node="s1", order=None):
        journeys = Journeys(swarm.context, targets(swarm.context)[to])
        for fact in order or swarm.facts:
            journeys.observe(fact)
        return journeys.by_node[node]

    return travel


def test_a_frame_that_arrives(swarm, travelled):
    swarm.csi("s1", S, 7)
    swarm.arrival("s1", S + 6 * MS, 7)
    journey = travelled(swarm)
    assert (journey.sent, journey.received, journey.lost, journey.latency.max) == (1, 1, 0, 6 * MS)
    assert list(journey.missing()) == []


def test_a_frame_that_does_not(swarm, travelled):
    swarm.csi("s1", S, 7, fate=Fate.LOSS)
    journey = travelled(swarm)
    assert (journey.sent, journey.received, journey.lost) == (1, 0, 1)
    assert [(lost.seq, lost.sent.t_ns) for lost in journey.missing()] == [(7, S)]
    assert journey.slowest is None


def test_only_the_first_copy_counts(swarm, travelled):
    swarm.csi("s1", S, 7, fate=Fate.DUPLICATED)
    swarm.arrival("s1", S + 6 * MS, 7)
    swarm.arrival("s1", S + 7 * MS, 7)
    journey = travelled(swarm)
    assert (journey.received, journey.latency.max) == (1, 6 * MS)


@pytest.mark.parametrize(
    "options", [{"fate": Fate.LOSS}, {"fate": Fate.CORRUPTED}, {"to": "s2"}], ids=["dropped", "corrupted", "flooded"]
)
def test_what_the_hub_did_not_get_did_not_arrive(swarm, travelled, options):
    swarm.csi("s1", S, 7)
    swarm.arrival("s1", S + 6 * MS, 7, **options)
    assert travelled(swarm).received == 0


def test_a_frame_that_the_hub_did_not_take_is_lost(swarm, travelled):
    swarm.csi("s1", S, 7)
    swarm.arrival("s1", S + 6 * MS, 7)
    swarm.arrival("s1", S + 6 * MS, 7, fate=Fate.OVERRUN)
    journey = travelled(swarm)
    assert (journey.received, journey.lost, len(journey.refused)) == (0, 1, 1)


def test_a_forged_frame_is_nobodys(swarm, travelled):
    swarm.csi("s1", S, 7, sender="s2")
    swarm.arrival("s1", S + 6 * MS, 7)
    assert travelled(swarm).sent == 0
    assert travelled(swarm, node="s2").sent == 0


def test_a_frame_that_a_fault_injects_is_not_the_senders(swarm, travelled):
    swarm.csi("s1", S, 7, note="injected")
    swarm.csi("s1", S, 8, fate=Fate.LOSS, note="drop: loss; injected")
    assert travelled(swarm).sent == 0


def test_a_restarted_sender_uses_its_numbers_again(swarm, travelled):
    swarm.stream("s1", 0, S)
    swarm.stream("s1", 10 * S, 11 * S)
    for seq, t in enumerate(range(10 * S, 11 * S, 50 * MS)):
        swarm.arrival("s1", t + 6 * MS, seq)
    journey = travelled(swarm)
    assert (journey.sent, journey.received) == (40, 20)
    assert journey.latency.max == 6 * MS
    assert max(lost.sent.t_ns for lost in journey.missing()) < S


def test_captures_are_not_read_in_step(swarm, travelled):
    for seq in range(200):
        swarm.csi("s1", seq * 50 * MS, seq, fate=Fate.LOSS if seq % 10 == 3 else Fate.DELIVERED)
        if seq % 10 != 3:
            swarm.arrival("s1", seq * 50 * MS + (5 + seq % 7) * MS, seq)
    sent = [fact for fact in swarm.facts if fact.sender == "s1"]
    arrived = [fact for fact in swarm.facts if fact.sender != "s1"]
    chance = random.Random(1)
    mixed, left = [], [list(reversed(sent)), list(reversed(arrived))]
    while any(left):
        mixed.append(chance.choice([some for some in left if some]).pop())
    for order in (swarm.facts, sent + arrived, arrived + sent, mixed):
        journey = travelled(swarm, order=order)
        assert (journey.sent, journey.received, journey.lost) == (200, 180, 20)
        assert (journey.latency.min, journey.latency.max) == (5 * MS, 11 * MS)
        assert journey.slowest.seq == 6


def test_memory_is_bounded(swarm, travelled):
    for seq in range(6000):
        swarm.csi("s1", seq * MS, seq, fate=Fate.LOSS)
    journey = travelled(swarm)
    assert journey.lost == 6000
    missing = list(journey.missing())
    assert len(missing) == 4097
    assert missing[0].seq == 6000 - 4096 - 1


def test_to_the_aggregator(swarm, travelled):
    swarm.csi("s1", S, 7)
    link = swarm.context.network.device("aggregator").link
    swarm.csi("s1", S + 8 * MS, 7, sender="coord.switch", to="aggregator", link=link)
    assert travelled(swarm, "aggregator").latency.max == 8 * MS
    assert travelled(swarm).received == 0


@pytest.mark.parametrize("topology", Topology)
def test_targets_of_any_network(swarm_of, topology):
    swarm = swarm_of(topology=topology) if topology is not Topology.CUSTOM else swarm_of()
    assert list(targets(swarm.context)) == ["hub", "aggregator"]


def test_without_a_hub_frames_go_to_the_aggregator(swarm_of):
    swarm = swarm_of(roles={"coord": Role.SENSOR})
    assert list(targets(swarm.context)) == ["aggregator"]
