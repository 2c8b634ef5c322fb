"""recovers_within and degrades_gracefully: the traffic around a fault."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.continuity import NoDataLossAfterHeal
from swarmrig.checks.resilience import DegradesGracefully, DegradesParams, RecoversParams, RecoversWithin
from swarmrig.model.facts import FaultStage
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, Role
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
BEGIN, END = 10 * S, 15 * S
STAGES = ((FaultStage.INJECTED, BEGIN), (FaultStage.OBSERVED, BEGIN + MS), (FaultStage.HEALED, END))


def spec(fault="cut-1", kind="cut", at=BEGIN, for_ns=END - BEGIN, **params):
    return FaultSpec(fault, kind, at, for_ns, params or {"between": ("coord", "s1")})


@pytest.fixture
def shaken(swarm_of):
    """shaken(*faults): a swarm with these faults planned, by default one cut."""
    return lambda *faults, **options: swarm_of(faults=faults or (spec(),), **options)


def happened(swarm, stages=STAGES, fault="cut-1"):
    for stage, t in stages:
        swarm.fault(stage, t, fault)


def flow(swarm, node, start, end, *, every=50 * MS, lost=False):
    for t in range(start, end, every):
        seq = t // MS
        swarm.csi(node, t, seq, fate=Fate.DOWN if lost else Fate.DELIVERED)
        if not lost:
            swarm.arrival(node, t + 5 * MS, seq)


def steady(swarm, node="s2", end=30 * S):
    flow(swarm, node, S, end)


def interrupted(swarm, node="s1", resumed=END + 100 * MS, end=30 * S, every=50 * MS):
    flow(swarm, node, S, BEGIN)
    flow(swarm, node, BEGIN + MS, resumed, lost=True)
    flow(swarm, node, resumed, end, every=every)


# recovers_within


def test_it_recovers_and_says_so_early(shaken, judged):
    swarm = shaken()
    steady(swarm)
    happened(swarm)
    interrupted(swarm)
    assert swarm.judge(RecoversWithin, until=16 * S, final=False) is None
    judgement = judged(swarm.judge(RecoversWithin, until=40 * S, final=False), Outcome.PASS, "recovered in 0.105 s")
    found = judgement.measured["cut-1"]
    assert found["s1"] == {"recovered_after_ns": 105 * MS, "silence_ns": 5150 * MS}
    assert found["s2"]["recovered_after_ns"] <= 55 * MS
    assert judgement.evidence[0].note == "before cut-1"


def test_it_recovers_too_late(shaken, judged):
    swarm = shaken()
    steady(swarm)
    happened(swarm)
    interrupted(swarm, resumed=END + 3 * S)
    judged(swarm.judge(RecoversWithin, within="3s"), Outcome.FAIL, "s1 recovered after 3.005 s, later than 3s")
    judged(swarm.judge(RecoversWithin, within="3.1s"), Outcome.PASS)


def test_it_does_not_recover(shaken, judged):
    swarm = shaken()
    steady(swarm)
    happened(swarm)
    interrupted(swarm, end=END)
    judged(swarm.judge(RecoversWithin), Outcome.FAIL, "s1 did not recover in 45.000 s", "20.0 Hz before")
    judged(swarm.judge(RecoversWithin, until=END + S), Outcome.INCONCLUSIVE, "had not recovered when the run ended")
    judged(swarm.judge(RecoversWithin, node="s2"), Outcome.PASS)


def test_a_trickle_is_no_recovery(shaken, judged):
    swarm = shaken()
    happened(swarm)
    interrupted(swarm, every=100 * MS)
    judged(swarm.judge(RecoversWithin, node="s1"), Outcome.FAIL, "s1 did not recover")
    judged(swarm.judge(RecoversWithin, node="s1", share="50%"), Outcome.PASS)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), "cut-1 was never injected"),
        (STAGES[:1], "its effect was not observed"),
        ((STAGES[0], STAGES[2]), "its effect was not observed"),
        (STAGES[:2], "cut-1 was never healed"),
    ],
)
def test_a_fault_that_did_nothing_proves_nothing(shaken, judged, stages, message):
    swarm = shaken()
    for node in ("s1", "s2"):
        steady(swarm, node)
    happened(swarm, stages)
    for check in (RecoversWithin, DegradesGracefully):
        judged(swarm.judge(check), Outcome.INCONCLUSIVE, message)


def test_no_traffic_before(shaken, judged):
    swarm = shaken()
    happened(swarm)
    flow(swarm, "s1", BEGIN - 500 * MS, 30 * S)
    judged(swarm.judge(RecoversWithin, node="s1"), Outcome.INCONCLUSIVE, "too few frames of s1")
    judged(swarm.judge(RecoversWithin, node="s2"), Outcome.INCONCLUSIVE, "too few frames of s2")
    judged(swarm.judge(DegradesGracefully), Outcome.INCONCLUSIVE, "too few frames of s1, s2")


def test_what_is_over_in_an_instant_counts_from_its_injection(shaken, judged):
    swarm = shaken(spec("reset-1", "reset", for_ns=None, node="s1"))
    happened(swarm, STAGES[:2], "reset-1")
    interrupted(swarm, resumed=BEGIN + 2 * S)
    judged(swarm.judge(RecoversWithin, node="s1"), Outcome.PASS, "recovered in 2.005 s")


def test_what_another_fault_heals_counts_from_there(shaken, judged):
    heal = FaultSpec("heal-2", "heal", END, None, {"fault": "cut-1"})
    swarm = shaken(spec(for_ns=None), heal)
    happened(swarm)
    interrupted(swarm)
    judged(swarm.judge(RecoversWithin, node="s1"), Outcome.PASS, "0.105 s")


def test_what_heals_by_itself_counts_from_there(shaken, judged):
    swarm = shaken(spec("crash-1", "crash", for_ns=None, node="s1"))
    happened(swarm, fault="crash-1")
    interrupted(swarm)
    judged(swarm.judge(RecoversWithin, node="s1"), Outcome.PASS, "0.105 s")


def test_every_occurrence_counts(shaken, judged):
    swarm = shaken(spec("blink"), spec("blink.2", at=20 * S, for_ns=S), spec("other", at=25 * S, for_ns=S))
    happened(swarm, fault="blink")
    interrupted(swarm)
    judged(swarm.judge(RecoversWithin, node="s1", fault="blink"), Outcome.INCONCLUSIVE, "blink.2 was never injected")
    happened(swarm, [(stage, t + 10 * S) for stage, t in STAGES], "blink.2")
    judged(swarm.judge(RecoversWithin, node="s1", fault="blink"), Outcome.PASS)
    judged(swarm.judge(RecoversWithin, node="s1", fault="cut"), Outcome.INCONCLUSIVE, "other was never injected")


@pytest.mark.parametrize("stages", [(), ((FaultStage.SKIPPED, 20 * S),)], ids=["never fired", "skipped"])
def test_what_need_not_happen_and_did_not_is_not_judged(shaken, judged, stages):
    maybe = FaultSpec("maybe", "cut", 20 * S, S, {"between": ("coord", "s2")}, required=False)
    swarm = shaken(spec(), maybe)
    steady(swarm)
    happened(swarm)
    interrupted(swarm)
    happened(swarm, stages, "maybe")
    for check in (RecoversWithin, DegradesGracefully, NoDataLossAfterHeal):
        judged(swarm.judge(check, until=30 * S), Outcome.PASS)
        judged(swarm.judge(check, until=30 * S, fault="maybe"), Outcome.INCONCLUSIVE, "no such fault in this run")
    early = swarm.judge(RecoversWithin, until=40 * S, final=False)
    assert (early is not None) is bool(stages)


def test_nothing_to_judge(swarm, swarm_of, shaken, judged):
    for check in (RecoversWithin, DegradesGracefully):
        judged(swarm.judge(check), Outcome.INCONCLUSIVE, "no such fault")
        lonely = shaken(sensors=0, roles={"coord": Role.COORDINATOR})
        judged(lonely.judge(check), Outcome.INCONCLUSIVE, "nobody sends")


def test_faults_are_resolved_before_the_run(shaken):
    context = shaken().context
    for check, model in ((RecoversWithin, RecoversParams), (DegradesGracefully, DegradesParams)):
        assert "cut-1" in check.resolve(model().model_dump(), context)
        with pytest.raises(ValueError, match="no fault has the id or kind 'cut-2': did you mean 'cut-1'"):
            check.resolve(model(fault="cut-2").model_dump(), context)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"within": "soon"}, "a duration"), ({"share": 0}, "greater than 0"), ({"share": "150%"}, "between 0 and 1"),
     ({"to": "moon"}, "hub"), ({"node": 1, "nodes": [1]}, "either node or nodes")],
)  # fmt: skip
def test_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        RecoversParams(**params)


# degrades_gracefully


@pytest.mark.parametrize(("share", "outcome"), [("50%", Outcome.PASS), (0.45, Outcome.PASS), ("55%", Outcome.FAIL)])
def test_one_of_two_is_half(shaken, judged, share, outcome):
    swarm = shaken()
    steady(swarm)
    happened(swarm)
    interrupted(swarm)
    judgement = judged(swarm.judge(DegradesGracefully, at_least=share), outcome, "50%")
    assert judgement.measured == {"share": {"cut-1": 0.5}}
    assert judgement.evidence[0].file == "net/coord.pcapng"


def test_named_nodes_are_judged_each(shaken, judged):
    swarm = shaken()
    steady(swarm)
    happened(swarm)
    interrupted(swarm)
    judged(swarm.judge(DegradesGracefully, node="s2", at_least="95%"), Outcome.PASS, "100%")
    judged(swarm.judge(DegradesGracefully, nodes=["s1", "s2"]), Outcome.FAIL, "0% of the frames of s1")


def test_what_is_left_right_after_an_instant(shaken, judged):
    swarm = shaken(spec("reset-1", "reset", for_ns=None, node="s1"))
    happened(swarm, STAGES[:2], "reset-1")
    interrupted(swarm, resumed=BEGIN + 4 * S)
    judged(swarm.judge(DegradesGracefully, node="s1", window="4s"), Outcome.FAIL, "0% of")
    judged(swarm.judge(DegradesGracefully, node="s1", window="8s"), Outcome.PASS)
    judged(swarm.judge(DegradesGracefully, node="s1", until=30 * S, at_least="79%"), Outcome.PASS, "80%")


def test_too_short_for_a_rate(shaken, judged):
    swarm = shaken(spec(for_ns=900 * MS))
    happened(swarm, (*STAGES[:2], (FaultStage.HEALED, BEGIN + 900 * MS)))
    interrupted(swarm)
    judged(swarm.judge(DegradesGracefully, node="s1"), Outcome.INCONCLUSIVE, "lasted 0.900 s: too short")
