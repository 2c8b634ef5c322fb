"""Frames produced, delivered, and often enough: judged from the wire."""

import pytest

from swarmrig.checks.traffic import AllNodesProduceFrames, CoordinatorReceivesFromAll, FrameRateAbove
from swarmrig.model.facts import NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import Role, Topology
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
BANNER = "I (2) refnode: node_id={} role=sensor scenario=2 CSI frames"

ALL = [AllNodesProduceFrames, CoordinatorReceivesFromAll, FrameRateAbove]


@pytest.mark.parametrize("check", ALL)
def test_without_any_fact(swarm, judged, check):
    assert swarm.judge(check, final=False) is None
    judgement = judged(swarm.judge(check), Outcome.INCONCLUSIVE)
    assert judgement.counted is check.severity


@pytest.mark.parametrize("check", ALL)
def test_banners_are_no_frames(swarm, check):
    swarm.started()
    swarm.booted()
    for node in swarm.ids:
        swarm.line(node, BANNER.format(swarm.number(node)))
    assert swarm.judge(check).counted is not Outcome.PASS


@pytest.mark.parametrize("check", ALL)
def test_a_swarm_without_sensors(swarm_of, judged, check):
    swarm = swarm_of(sensors=0)
    swarm.stream("coord", 0, 5 * S)
    judged(swarm.judge(check), Outcome.INCONCLUSIVE, "no sensor")


# all_nodes_produce_frames


def test_everybody_sends(swarm, judged):
    swarm.csi("s1", S, 0)
    assert swarm.judge(AllNodesProduceFrames, final=False) is None
    swarm.csi("s2", S, 0)
    judgement = judged(swarm.judge(AllNodesProduceFrames, final=False), Outcome.PASS)
    assert [item.file for item in judgement.evidence] == ["net/coord--s1.pcapng", "net/coord--s2.pcapng"]


def test_one_is_mute(swarm, judged):
    swarm.csi("s1", S, 0)
    swarm.vitals("s2", S)
    judgement = judged(swarm.judge(AllNodesProduceFrames), Outcome.FAIL, "s2")
    assert judgement.evidence[0].file == "net/coord--s2.pcapng"


def test_frames_that_another_node_forwards_or_forges_do_not_count(swarm, judged):
    swarm.csi("s1", S, 0)
    swarm.csi("s2", S, 0, sender="coord")
    swarm.csi("s2", S, 0, sender="s1")
    swarm.arrival("s2", S, 0)
    judged(swarm.judge(AllNodesProduceFrames), Outcome.FAIL, "s2")


def test_malformed_frames_do_not_count(swarm, judged):
    swarm.csi("s1", S, 0)
    payload = bytearray(swarm.csi_payload("s2", 0))
    payload[6] = 52  # a subcarrier count that contradicts the length
    swarm.send("s2", bytes(payload), S)
    judged(swarm.judge(AllNodesProduceFrames), Outcome.FAIL, "s2")


def test_a_frame_that_was_sent_counts_whatever_became_of_it(swarm, judged):
    for node in ("s1", "s2"):
        swarm.csi(node, S, 0, fate=Fate.LOSS)
        swarm.csi(node, S, 0, fate=Fate.OVERRUN)
    judgement = judged(swarm.judge(AllNodesProduceFrames), Outcome.PASS)
    assert judgement.measured["frames"] == {"s1": 1, "s2": 1}


# coordinator_receives_from_all


def received(swarm, *nodes):
    for node in nodes:
        swarm.arrival(node, S, 0)
        swarm.line("coord", f"I (90) coord: first frame from node_id={swarm.number(node)}")


def test_delivered_and_reported(swarm, judged):
    received(swarm, "s1")
    assert swarm.judge(CoordinatorReceivesFromAll, final=False) is None
    received(swarm, "s2")
    judgement = judged(swarm.judge(CoordinatorReceivesFromAll, final=False), Outcome.PASS)
    assert {item.file for item in judgement.evidence} == {"net/coord.pcapng", "nodes/coord/console.log"}


def test_delivered_but_not_reported(swarm, judged):
    received(swarm, "s1")
    swarm.arrival("s2", S, 0)
    judgement = judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL, "did not report s2")
    assert judgement.evidence[0].frame == 2


def test_reported_but_not_delivered(swarm, judged):
    received(swarm, "s1")
    swarm.line("coord", "I (90) coord: first frame from node_id=2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL, "no frame of s2 was delivered")


@pytest.mark.parametrize("text", ["I (2) refnode: node_id=2 role=sensor scenario=3", "node_id=2"])
def test_banners_are_no_reports(swarm, judged, text):
    received(swarm, "s1")
    swarm.arrival("s2", S, 0)
    swarm.line("coord", text)
    swarm.line("s2", "I (90) coord: first frame from node_id=2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL, "did not report s2")


@pytest.mark.parametrize("fate", [Fate.LOSS, Fate.DOWN, Fate.QUEUE, Fate.CORRUPTED, Fate.OVERRUN])
def test_lost_on_the_last_wire(swarm, judged, fate):
    received(swarm, "s1")
    swarm.arrival("s2", S, 0, fate=fate)
    swarm.line("coord", "I (90) coord: first frame from node_id=2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL, "s2 was delivered")


def test_what_is_flooded_to_the_hub_is_not_for_it(swarm, judged):
    received(swarm, "s1")
    swarm.arrival("s2", S, 0, to="aggregator")
    swarm.line("coord", "I (90) coord: first frame from node_id=2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL, "s2 was delivered")


def test_what_only_entered_the_sensors_own_link_was_not_received(swarm, judged):
    received(swarm, "s1")
    swarm.csi("s2", S, 0)
    swarm.line("coord", "I (90) coord: first frame from node_id=2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.FAIL)


@pytest.mark.parametrize("topology", [Topology.MESH, Topology.RING, Topology.LINE])
def test_other_topologies(swarm_of, judged, topology):
    swarm = swarm_of(sensors=3, topology=topology)
    received(swarm, "s1", "s2", "s3")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.PASS)


def test_a_gateway_stands_in_for_the_coordinator(swarm_of, judged):
    swarm = swarm_of(roles={"coord": Role.GATEWAY})
    received(swarm, "s1", "s2")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.PASS)


def test_nobody_to_receive(swarm_of, judged):
    swarm = swarm_of(roles={})
    swarm.csi("s1", S, 0, to="aggregator")
    judged(swarm.judge(CoordinatorReceivesFromAll), Outcome.INCONCLUSIVE, "no coordinator")


# frame_rate_above


def test_fast_enough(swarm, judged):
    swarm.stream("s1", 0, 60 * S)
    swarm.stream("s2", S, 60 * S)
    assert swarm.judge(FrameRateAbove, hz=15, final=False) is None
    judgement = judged(swarm.judge(FrameRateAbove, hz=20), Outcome.PASS, "20.00 Hz")
    assert judgement.measured["hz"] == {"s1": 20.0, "s2": 20.0}


def test_one_is_too_slow(swarm, judged):
    swarm.stream("s1", 0, 60 * S)
    swarm.stream("s2", 0, 60 * S, every=100 * MS)
    judgement = judged(swarm.judge(FrameRateAbove, hz=15), Outcome.WARN, "s2 sent 10.00 Hz")
    assert judgement.evidence[0].file == "net/coord--s2.pcapng"


def test_repeated_sequences_count_once(swarm, judged):
    for node in ("s1", "s2"):
        for seq, t in enumerate(range(0, 30 * S, 100 * MS)):
            swarm.csi(node, t, seq)
            swarm.csi(node, t + 50 * MS, seq)
    judged(swarm.judge(FrameRateAbove, hz=15, until=30 * S), Outcome.WARN, "s1 sent 10.00 Hz")


def test_a_node_that_falls_silent_does_not_keep_its_rate(swarm, judged):
    swarm.stream("s1", 0, 60 * S)
    swarm.stream("s2", 0, 20 * S)
    judged(swarm.judge(FrameRateAbove, hz=15), Outcome.WARN, "s2 sent 6.65 Hz")


def test_silence_after_the_rig_stopped_the_node_is_not_its_fault(swarm, judged):
    swarm.stream("s1", 0, 60 * S)
    swarm.stream("s2", 0, 20 * S)
    swarm.change("s2", NodeState.STOPPED, 20 * S)
    judged(swarm.judge(FrameRateAbove, hz=15), Outcome.PASS)


def test_a_restarted_node_counts_on_from_zero(swarm, judged):
    swarm.stream("s1", 0, 20 * S)
    swarm.stream("s2", 0, S)
    swarm.stream("s2", S, 20 * S)
    judgement = judged(swarm.judge(FrameRateAbove, hz=15, until=20 * S), Outcome.PASS)
    assert judgement.measured["hz"]["s2"] == 20.0


def test_no_rate_without_a_span(swarm, judged):
    swarm.stream("s1", 0, S)
    swarm.stream("s2", 0, S)
    judged(swarm.judge(FrameRateAbove, until=S), Outcome.INCONCLUSIVE, "less than 2 s")


def test_a_single_frame_is_no_rate(swarm, judged):
    swarm.csi("s1", 59 * S, 0)
    swarm.csi("s2", 59 * S, 0)
    judged(swarm.judge(FrameRateAbove), Outcome.INCONCLUSIVE)


def test_slow_and_silent(swarm, judged):
    swarm.stream("s1", 0, 60 * S, every=S)
    judged(swarm.judge(FrameRateAbove), Outcome.WARN, "s1 sent 1.00 Hz", "not judged: s2 sent no CSI frame")
