"""frames: what a filter finds on the wire."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.frames import Frames, FramesParams
from swarmrig.model.network import Fate
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000


def test_one_is_enough(swarm, judged):
    swarm.vitals("s1", S)
    assert swarm.judge(Frames, filter="csi", final=False) is None
    frame = swarm.csi("s1", S, 0)
    judgement = judged(swarm.judge(Frames, filter="csi.node == 1", final=False), Outcome.PASS)
    assert judgement.evidence[0].frame == frame.number == 2


def test_none_matches(swarm, judged):
    swarm.vitals("s1", S)
    judgement = judged(swarm.judge(Frames, filter="csi"), Outcome.FAIL, "0 frames match, expected at least 1")
    assert judgement.evidence[0].note == "searched 1 frames"


@pytest.mark.parametrize("params", [{}, {"count": {"max": 0}}, {"rate": {"max": 5}}, {"link": "coord--s1"}])
def test_nothing_captured(swarm, judged, params):
    swarm.booted()
    judged(swarm.judge(Frames, filter="csi", **params), Outcome.INCONCLUSIVE, "no frame was captured")


def test_a_frame_on_its_way_counts_once(swarm, judged):
    swarm.csi("s1", S, 0)
    swarm.arrival("s1", S + 5 * MS, 0)
    judged(swarm.judge(Frames, filter="csi", count=1), Outcome.PASS)


def test_on_one_link_everything_counts_that_enters_it(swarm, judged):
    swarm.csi("s1", S, 0)
    swarm.arrival("s1", S + 5 * MS, 0)
    swarm.arrival("s2", S + 5 * MS, 0)
    judged(swarm.judge(Frames, filter="csi", link="coord", count=2), Outcome.PASS)
    judged(swarm.judge(Frames, filter="csi", link="coord", node="coord"), Outcome.INCONCLUSIVE)


def test_of_one_node(swarm, judged):
    swarm.csi("s1", S, 0)
    swarm.csi("s2", S, 0)
    swarm.csi("s1", S, 0, sender="coord")
    judged(swarm.judge(Frames, filter="csi", node=1, count=1), Outcome.PASS)


@pytest.mark.parametrize(
    ("count", "outcome"), [(5, Outcome.PASS), (4, Outcome.FAIL), ({"max": 4}, Outcome.FAIL), ({"min": 5}, Outcome.PASS)]
)
def test_count(swarm, judged, count, outcome):
    swarm.stream("s1", 0, 5 * S, every=S)
    judged(swarm.judge(Frames, filter="csi", count=count), outcome)


def test_none_are_right_when_none_are_expected(swarm, judged):
    swarm.vitals("s1", S)
    assert swarm.judge(Frames, filter="csi", count=0, final=False) is None
    judged(swarm.judge(Frames, filter="csi", count=0), Outcome.PASS)


def test_rate(swarm, judged):
    swarm.stream("s1", 0, 10 * S)
    judgement = judged(swarm.judge(Frames, filter="csi", rate={"min": 19, "max": 21}), Outcome.PASS)
    assert judgement.measured["hz"] == 20.0
    assert swarm.judge(Frames, filter="csi", rate={"min": 19}, final=False) is None
    judged(swarm.judge(Frames, filter="csi", rate={"max": 10}), Outcome.FAIL, "20.00 Hz, expected at most 10 Hz")
    judged(swarm.judge(Frames, filter="csi", rate={"min": 30}, count={"min": 1}), Outcome.FAIL, "at least 30 Hz")


def test_no_rate_without_a_span(swarm, judged):
    swarm.stream("s1", 0, S)
    judged(swarm.judge(Frames, filter="csi", rate={"min": 10}), Outcome.INCONCLUSIVE, "less than 2 s")


def test_delivered_and_dropped(swarm, judged):
    swarm.csi("s1", S, 0, fate=Fate.LOSS)
    swarm.csi("s1", S, 1)
    swarm.csi("s1", S, 1, fate=Fate.OVERRUN)
    judged(swarm.judge(Frames, filter="csi", count=2), Outcome.PASS)
    judged(swarm.judge(Frames, filter="csi", delivered=True, count=1), Outcome.PASS)
    judged(swarm.judge(Frames, filter="csi", delivered=False, count=2), Outcome.PASS)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"link": "nowhere"}, "no link is called 'nowhere'"), ({"node": "s9"}, "no node 's9'")],
)
def test_unknown_places(swarm, judged, params, message):
    swarm.csi("s1", S, 0)
    judged(swarm.judge(Frames, filter="csi", **params), Outcome.INCONCLUSIVE, message)
    with pytest.raises(ValueError, match=message):
        Frames.resolve({"filter": "csi", **params}, swarm.context)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "filter"),
        ({"filter": ""}, "at least 1 character"),
        ({"filter": "csi.nod == 1"}, "did you mean 'csi.node'"),
        ({"filter": "csi ="}, "column 5"),
        ({"filter": "csi", "count": -1}, "greater than or equal to 0"),
        ({"filter": "csi", "rate": True}, "valid"),
    ],
)
def test_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        FramesParams(**params)
