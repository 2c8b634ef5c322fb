"""fall_detected_by_node: the node's own word, on its console or in its vitals."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.falls import FallDetectedByNode, FallParams
from swarmrig.model.verdict import Outcome
from swarmrig.wire.vitals import FLAG_FALL, FLAG_MOTION, FLAG_PRESENCE

S = 1_000_000_000
FALL = "W (7000) edge: fall detected node_id=2 accel=17000"


def test_on_its_console(swarm, judged):
    assert swarm.judge(FallDetectedByNode, node=2, final=False) is None
    swarm.line("s2", FALL)
    judgement = judged(swarm.judge(FallDetectedByNode, node=2, final=False), Outcome.PASS)
    assert str(judgement.evidence[0]).startswith("nodes/s2/console.log:1")


def test_in_its_vitals(swarm, judged):
    swarm.vitals("s2", S, FLAG_PRESENCE)
    frame = swarm.vitals("s2", 2 * S, FLAG_PRESENCE | FLAG_FALL)
    judgement = judged(swarm.judge(FallDetectedByNode, node=2, final=False), Outcome.PASS)
    assert judgement.evidence[0].frame == frame.number == 2


def test_no_fall(swarm, judged):
    swarm.line("s2", "I (2) edge: fall detection enabled")
    swarm.vitals("s2", S, FLAG_PRESENCE | FLAG_MOTION)
    judgement = judged(swarm.judge(FallDetectedByNode, node=2), Outcome.WARN, "s2 reported no fall")
    assert "1 lines and 1 vitals" in judgement.evidence[0].note


def test_nothing(swarm, judged):
    judgement = judged(swarm.judge(FallDetectedByNode, node=2), Outcome.INCONCLUSIVE, "s2")
    assert judgement.counted is Outcome.WARN


def test_falls_of_others_do_not_count(swarm, judged):
    swarm.booted()
    swarm.line("s1", "W (7000) edge: fall detected node_id=1 accel=17000")
    swarm.line("coord", FALL)
    swarm.line("s2", "I (9) relay: fall detected node_id=1")
    swarm.vitals("s1", S, FLAG_FALL)
    swarm.vitals("s2", S, FLAG_FALL, sender="coord")
    swarm.vitals("s1", S, FLAG_FALL, sender="s2")
    judged(swarm.judge(FallDetectedByNode, node=2), Outcome.WARN)


def test_a_csi_frame_is_no_vitals(swarm, judged):
    swarm.stream("s2", 0, S)
    judged(swarm.judge(FallDetectedByNode, node=2), Outcome.INCONCLUSIVE)


def test_no_such_node(swarm, judged):
    swarm.line("s2", FALL)
    judged(swarm.judge(FallDetectedByNode, node=9), Outcome.INCONCLUSIVE, "no node with number 9")


@pytest.mark.parametrize("value", [-1, 256, "two", None])
def test_wrong_numbers(value):
    with pytest.raises(ValidationError):
        FallParams(node=value)


def test_vitals_that_a_fault_injects_are_not_the_nodes(swarm, judged):
    swarm.vitals("s2", S, FLAG_FALL, note="injected")
    judged(swarm.judge(FallDetectedByNode, node=2), Outcome.INCONCLUSIVE)
