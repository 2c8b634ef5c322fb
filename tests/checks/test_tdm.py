"""tdm_no_collision: what nodes say about their slots, and when their frames leave."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.checks.superframes import Superframes
from swarmrig.checks.tdm import TdmNoCollision
from swarmrig.model.facts import Frame
from swarmrig.model.scenario import Role
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
SUPERFRAME = 50 * MS
EPOCH = 7 * MS  # the hub's clock does not begin with the run


def report_slots(swarm, slots=None):
    for node in swarm.ids:
        slot = swarm.number(node) if slots is None else slots[node]
        swarm.line(node, f"I (2) tdm: TDM slot={slot} of {len(swarm.ids)}")


def transmit(swarm, node, slot, *, start=1, end=400, of=None, late=lambda: 0, first_seq=0):
    """One CSI frame a superframe, at a quarter of the slot."""
    length = SUPERFRAME // (of or len(swarm.ids))
    for seq, superframe in enumerate(range(start, end), start=first_seq):
        swarm.csi(node, EPOCH + superframe * SUPERFRAME + slot * length + length // 4 + late(), seq)


def beacons(swarm, *, start=0, end=400, late=lambda: 0, slots=None, number=None, epoch=EPOCH):
    for superframe in range(start, end):
        swarm.beacon(epoch + superframe * SUPERFRAME + late(), superframe if number is None else number(superframe),
                     slots=slots)  # fmt: skip


def everybody(swarm, **options):
    report_slots(swarm)
    beacons(swarm, **options)
    for node in swarm.ids:
        transmit(swarm, node, swarm.number(node), **options)


def test_each_in_its_own_slot(swarm, judged):
    everybody(swarm)
    assert swarm.judge(TdmNoCollision, final=False) is None
    judgement = judged(swarm.judge(TdmNoCollision), Outcome.PASS, "3 nodes")
    assert judgement.measured["reported"] == {"coord": 0, "s1": 1, "s2": 2}
    counts = judgement.measured["frames_by_slot"]
    assert {node: list(slots) for node, slots in counts.items()} == {"coord": ["0"], "s1": ["1"], "s2": ["2"]}
    assert {item.file for item in judgement.evidence} >= {"nodes/s1/console.log", "net/coord.pcapng"}


def test_a_node_that_no_beacon_reaches_keeps_its_slot_by_chance(swarm, judged):
    swarm.deaf = {"s2"}
    everybody(swarm)
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "no beacon reached s2")


def test_nothing(swarm, judged):
    judgement = judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "no slot was reported", "no beacon")
    assert judgement.counted is Outcome.FAIL


def test_a_captured_beacon_may_be_late(swarm, judged):
    chance = random.Random(1)

    def delay():
        return round(chance.expovariate(1 / (2 * MS)))

    report_slots(swarm)
    beacons(swarm, late=delay)
    for node in swarm.ids:
        transmit(swarm, node, swarm.number(node), late=delay)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


def test_two_send_in_one_slot(swarm, judged):
    report_slots(swarm)
    beacons(swarm)
    for node, slot in (("coord", 0), ("s1", 2), ("s2", 2)):
        transmit(swarm, node, slot)
    judgement = judged(swarm.judge(TdmNoCollision), Outcome.FAIL, "same slot 2", "s1 (reports slot 1)", "s2 (reports")
    assert {item.file for item in judgement.evidence} == {"net/coord--s1.pcapng", "net/coord--s2.pcapng"}
    assert all(item.frame for item in judgement.evidence)


def test_two_report_one_slot(swarm, judged):
    everybody(swarm)
    report_slots(swarm, {"coord": 0, "s1": 1, "s2": 1})
    judgement = judged(swarm.judge(TdmNoCollision), Outcome.FAIL, "s1, s2 report the same slot 1")
    assert {(item.file, item.line) for item in judgement.evidence[:2]} == {
        ("nodes/s1/console.log", 2),
        ("nodes/s2/console.log", 2),
    }


def test_a_report_is_needed_from_everybody(swarm, judged):
    everybody(swarm)
    swarm.facts = [fact for fact in swarm.facts if getattr(fact, "node", "") != "s2"]
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "no slot was reported by s2")


def test_frames_are_needed_from_everybody(swarm, judged):
    everybody(swarm)
    swarm.facts = [fact for fact in swarm.facts if getattr(fact, "sender", "") != "s2"]
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "s2 sent no CSI frame")


def test_slots_cannot_be_told_without_beacons(swarm, judged):
    everybody(swarm)
    beacons_of = swarm.context.network.device("coord").link
    swarm.facts = [
        fact
        for fact in swarm.facts
        if not (isinstance(fact, Frame) and fact.link == beacons_of and len(fact.data) == 66)
    ]
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "no beacon of coord")


def test_slots_cannot_be_told_without_a_coordinator(swarm_of, judged):
    swarm = swarm_of(roles={})
    report_slots(swarm)
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "no coordinator")


def test_an_unsynchronised_node(swarm, judged):
    report_slots(swarm)
    beacons(swarm)
    transmit(swarm, "coord", 0)
    transmit(swarm, "s1", 1)
    for seq, t in enumerate(range(0, 20 * S, 49 * MS)):
        swarm.csi("s2", t, seq)
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "s2 is unsynchronised")


def test_the_first_seconds_are_for_synchronising(swarm, judged):
    report_slots(swarm)
    beacons(swarm, end=100)
    transmit(swarm, "coord", 0, end=100)
    transmit(swarm, "s1", 1, end=100)
    transmit(swarm, "s2", 1, end=60)  # the first three seconds in a slot of somebody else
    transmit(swarm, "s2", 2, start=60, end=100, first_seq=60)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


def test_too_few_frames(swarm, judged):
    report_slots(swarm)
    beacons(swarm, end=75)
    for node in swarm.ids:
        transmit(swarm, node, swarm.number(node), end=75)
    judged(swarm.judge(TdmNoCollision), Outcome.INCONCLUSIVE, "20 are needed")


def test_a_burst_does_not_count(swarm, judged):
    everybody(swarm)
    start = 10 * S + EPOCH
    for number in range(1000):
        swarm.csi("s2", start + number * MS // 10, 1000 + number)
    swarm.facts.sort(key=lambda fact: fact.t_ns)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


def test_forwarded_frames_are_not_the_senders(swarm, judged):
    everybody(swarm)
    for seq in range(400):
        swarm.csi("s1", EPOCH + seq * SUPERFRAME + 40 * MS, seq, sender="coord")
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


def test_a_slot_of_ones_own_but_not_the_reported_one(swarm, judged):
    report_slots(swarm, {"coord": 0, "s1": 1, "s2": 3})
    beacons(swarm, slots=4)
    for node in swarm.ids:
        transmit(swarm, node, swarm.number(node), of=4)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS, "but s2 (reports slot 3) sends in slot 2")


def test_the_hub_restarts(swarm, judged):
    """A new epoch, and numbers from zero: frames are judged by the beacons of their own time."""
    report_slots(swarm)
    beacons(swarm, end=200)
    for node in swarm.ids:
        transmit(swarm, node, swarm.number(node), end=200)
    shift = 23 * MS
    beacons(swarm, start=210, end=500, number=lambda superframe: superframe - 210, epoch=EPOCH + shift)
    for node in swarm.ids:
        length = SUPERFRAME // 3
        for seq, superframe in enumerate(range(211, 500)):
            offset = EPOCH + shift + swarm.number(node) * length + length // 4
            swarm.csi(node, superframe * SUPERFRAME + offset, seq)
    judgement = judged(swarm.judge(TdmNoCollision), Outcome.PASS)
    assert all(len(slots) == 1 for slots in judgement.measured["frames_by_slot"].values())


@pytest.mark.parametrize("nodes", [1, 2, 6, 12])
def test_swarms_of_other_sizes(swarm_of, judged, nodes):
    swarm = swarm_of(sensors=nodes - 1)
    everybody(swarm)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


def test_memory_is_bounded_without_beacons(swarm):
    check = TdmNoCollision(swarm.context)
    frame = swarm.csi("s1", 0, 0)
    for seq in range(10_000):
        check.observe(Frame(4 * S + seq * SUPERFRAME, frame.link, "s1", seq + 1, frame.data, frame.fate, True))
    assert len(check._senders["s1"]._pending) <= 4096


def test_a_gateway_may_be_the_hub(swarm_of, judged):
    swarm = swarm_of(roles={"coord": Role.GATEWAY})
    everybody(swarm)
    judged(swarm.judge(TdmNoCollision), Outcome.PASS)


# the epoch on its own


def test_no_slot_before_the_first_beacon_or_far_from_any():
    superframes = Superframes()
    assert superframes.slot(S) is None
    superframes.add(S, 20, SUPERFRAME, 5)
    assert superframes.slot(S - 1) is None
    assert superframes.slot(S + 21 * MS) == 2
    assert superframes.slot(60 * S) is None


def test_a_beacon_without_slots_or_length_says_nothing():
    superframes = Superframes()
    superframes.add(S, 20, SUPERFRAME, 0)
    assert superframes.slot(S + 1) is None
    superframes.add(2 * S, 21, 0, 3)
    assert superframes.slot(2 * S + 1) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**40), st.integers(2, 12), st.randoms(use_true_random=False))
def test_slots_are_found_under_jitter(epoch, slots, chance):
    """However late captures are now and then, most frames fall into the slot they were sent in."""
    superframes = Superframes()
    for number in range(400):
        late = chance.choice((0, 0, 0, chance.randrange(20 * MS)))
        superframes.add(epoch + number * SUPERFRAME + late, number, SUPERFRAME, slots)
    for number in range(60, 340, 7):
        slot = chance.randrange(slots)
        sent = epoch + number * SUPERFRAME + slot * SUPERFRAME // slots + SUPERFRAME // slots // 4
        assert superframes.slot(sent) == slot
