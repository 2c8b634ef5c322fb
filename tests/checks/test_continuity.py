"""no_data_loss_after_heal: what is sent once a fault is over."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.continuity import ContinuityParams, NoDataLossAfterHeal
from swarmrig.model.facts import FaultStage, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
BEGIN, END = 10 * S, 15 * S
STAGES = ((FaultStage.INJECTED, BEGIN), (FaultStage.OBSERVED, BEGIN + MS), (FaultStage.HEALED, END))
SECOND = tuple((stage, t + 10 * S) for stage, t in STAGES)


def cut(fault="cut-1", at=BEGIN):
    return FaultSpec(fault, "cut", at, END - BEGIN, {"between": ("coord", "s1")})


@pytest.fixture
def run(swarm_of):
    """run(lost, …): 30 s of s1, with the frames sent at these times lost."""

    def make(*lost, faults=((cut(), STAGES),), end=30 * S, fate=Fate.LOSS):
        swarm = swarm_of(sensors=1, faults=tuple(spec for spec, _ in faults))
        for spec, stages in faults:
            for stage, t in stages:
                swarm.fault(stage, t, spec.id)
        for seq, t in enumerate(range(S, end, 50 * MS)):
            gone = t in lost or any(stages and stages[0][1] < t < stages[-1][1] for _, stages in faults)
            swarm.csi("s1", t, seq, fate=fate if gone else Fate.DELIVERED)
            if not gone:
                swarm.arrival("s1", t + 5 * MS, seq)
        return swarm

    return make


def test_nothing_is_lost(run, judged):
    judgement = judged(run().judge(NoDataLossAfterHeal, until=30 * S), Outcome.PASS, "280 frames of s1", "none lost")
    assert judgement.evidence[0].note == "the last frame of s1 after the fault"
    assert judgement.measured == {"arrived": {"s1": 280}, "lost": {"s1": 0}}


def test_a_lost_frame_is_pointed_at(run, judged):
    swarm = run(20 * S)
    judgement = judged(swarm.judge(NoDataLossAfterHeal, until=30 * S), Outcome.FAIL, "1 of 280 frames of s1 were lost")
    sent = next(fact for fact in swarm.facts if getattr(fact, "link", "") == "coord--s1" and fact.t_ns == 20 * S)
    assert (judgement.evidence[0].file, judgement.evidence[0].frame) == ("net/coord--s1.pcapng", sent.number)
    judged(swarm.judge(NoDataLossAfterHeal, max_lost=1), Outcome.PASS, "at most 1 lost")


@pytest.mark.parametrize("t", [5 * S, 12 * S, END + 950 * MS])
def test_before_the_end_and_while_it_settles_frames_may_be_lost(run, judged, t):
    judged(run(t).judge(NoDataLossAfterHeal), Outcome.PASS)
    if t > END:
        judged(run(t).judge(NoDataLossAfterHeal, settle="900ms"), Outcome.FAIL)


def test_what_was_under_way_at_the_end_is_not_lost(run, judged):
    last = 30 * S - 50 * MS
    judged(run(last).judge(NoDataLossAfterHeal, until=30 * S), Outcome.PASS)
    swarm = run(last - 5 * S)
    swarm.change("coord", NodeState.STOPPED, last - 5 * S + MS)
    judged(swarm.judge(NoDataLossAfterHeal), Outcome.PASS)


def test_another_fault_is_no_calm(run, judged):
    swarm = run(faults=((cut(), STAGES), (cut("cut-2", 20 * S), SECOND)))
    judgement = judged(swarm.judge(NoDataLossAfterHeal, fault="cut-1"), Outcome.PASS)
    assert judgement.measured["arrived"]["s1"] == 60 + 1 + 80  # 16..19 s, 26..30 s
    judged(run(19 * S + 500 * MS, faults=((cut(), STAGES), (cut("cut-2", 20 * S), SECOND))).judge(NoDataLossAfterHeal),
           Outcome.PASS)  # fmt: skip


def test_a_frame_that_was_not_taken_is_lost(run, judged):
    swarm = run()
    swarm.arrival("s1", 20 * S + 5 * MS, 380, fate=Fate.OVERRUN)
    judged(swarm.judge(NoDataLossAfterHeal), Outcome.FAIL, "1 of 281")


def test_lost_beyond_all_memory(run, judged):
    swarm = run(end=BEGIN)
    for seq in range(10_000):
        swarm.csi("s1", 16 * S + seq * MS, 1000 + seq, fate=Fate.LOSS)
    judged(swarm.judge(NoDataLossAfterHeal), Outcome.FAIL, "4097 of 4097 frames")


@pytest.mark.parametrize(
    ("stages", "message"),
    [((), "never injected"), (STAGES[:1], "not observed"), (STAGES[:2], "never healed")],
)
def test_a_fault_that_did_nothing_proves_nothing(run, judged, stages, message):
    judged(run(faults=((cut(), stages),)).judge(NoDataLossAfterHeal), Outcome.INCONCLUSIVE, message)


def test_nothing_sent_afterwards(run, judged):
    judged(run(end=END).judge(NoDataLossAfterHeal), Outcome.INCONCLUSIVE, "no frame of s1 arrived after the fault")


def test_no_fault_at_all(swarm, judged):
    swarm.stream("s1", 0, 30 * S)
    judged(swarm.judge(NoDataLossAfterHeal), Outcome.INCONCLUSIVE, "no such fault")
    with pytest.raises(ValueError, match="there are no faults"):
        NoDataLossAfterHeal.resolve(ContinuityParams(fault="cut").model_dump(), swarm.context)


@pytest.mark.parametrize(("params", "message"), [({"max_lost": -1}, "0"), ({"settle": "x"}, "a duration")])
def test_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        ContinuityParams(**params)
