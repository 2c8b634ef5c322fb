"""survives: nobody crashes, ends, restarts or falls silent after a fault."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.survival import Survives, SurvivesParams
from swarmrig.model.facts import FaultStage, NodeState
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
BEGIN, END = 10 * S, 15 * S
STAGES = ((FaultStage.INJECTED, BEGIN), (FaultStage.OBSERVED, BEGIN + MS), (FaultStage.HEALED, END))


@pytest.fixture
def run(swarm_of):
    """run(): 30 s of a swarm with a cut, in which everybody talks to the end."""

    def make(kind="cut", for_ns=END - BEGIN, stages=STAGES, silent=(), **params):
        spec = FaultSpec("f1", kind, BEGIN, for_ns, params or {"between": ("coord", "s1")})
        swarm = swarm_of(faults=(spec,))
        swarm.started()
        swarm.booted()
        for stage, t in stages:
            swarm.fault(stage, t, "f1")
        for node in swarm.ids:
            for t in range(S, BEGIN if node in silent else 30 * S, S):
                swarm.line(node, "I (9) csi: frame_rate=20.0", t)
        return swarm

    return make


def test_all_live_on(run, judged):
    swarm = run()
    assert swarm.judge(Survives, fault="f1", final=False) is None
    judgement = judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.PASS, "coord, s1, s2 survived f1")
    assert {item.file for item in judgement.evidence} == {f"nodes/{node}/console.log" for node in swarm.ids}


def test_a_frame_is_a_sign_of_life(run, judged):
    swarm = run(silent=("s1",))
    frame = swarm.csi("s1", 24 * S, 1)
    judgement = judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.PASS)
    assert frame.number in {item.frame for item in judgement.evidence}


def test_a_frame_that_a_fault_injects_is_none(run, judged):
    swarm = run(silent=("s1",))
    swarm.csi("s1", 29 * S, 1, note="injected")
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.FAIL, "s1 was silent")


def test_a_crash(run, judged):
    swarm = run()
    swarm.line("s2", "Guru Meditation Error: Core 0 panic'ed", 20 * S)
    judgement = judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.FAIL, "s2 crashed after f1: Guru")
    assert judgement.evidence[0].line == 31
    judged(swarm.judge(Survives, fault="f1", nodes=["s1", "coord"], until=30 * S), Outcome.PASS)


def test_a_crash_before_is_not_its_doing(run, judged):
    swarm = run()
    swarm.line("s2", "Guru Meditation Error", 5 * S)
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.PASS)


def test_an_emulator_that_ends(run, judged):
    swarm = run(silent=("s2",))
    swarm.exited("s2", 20 * S, signal=11)
    judgement = judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.FAIL, "s2 ended after f1 (signal 11)")
    assert judgement.evidence[0].file == "nodes/s2/stderr.log"


def test_a_restart(run, judged):
    swarm = run()
    swarm.booted("s2", t=20 * S)
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.FAIL, "s2 restarted after f1")


def test_whom_the_fault_names_may_restart_but_must_be_back(run, judged):
    swarm = run("reset", None, STAGES[:2], node="s2")
    swarm.booted("s2", t=11 * S)
    judged(swarm.judge(Survives, fault="reset", until=30 * S), Outcome.PASS)
    gone = run("crash", None, STAGES[:2], silent=("s2",), node=2)
    gone.exited("s2", BEGIN, signal=9)
    judged(gone.judge(Survives, fault="crash", until=30 * S), Outcome.FAIL, "s2 was silent for 20.000 s after f1")
    judged(run("reset", None, STAGES[:2], nodes=("s2",)).judge(Survives, fault="f1", until=30 * S), Outcome.PASS)


def test_silence(run, judged):
    swarm = run(silent=("s1",))
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.FAIL, "s1 was silent for 15.000 s after f1")
    judged(
        swarm.judge(Survives, fault="f1", until=20 * S), Outcome.INCONCLUSIVE, "s1 was not heard between f1 and the end"
    )
    swarm.line("s1", "alive", 21 * S)
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.PASS)
    judged(swarm.judge(Survives, fault="f1", until=30 * S, silence="5s"), Outcome.FAIL, "s1 was silent for 9.000 s")
    judged(swarm.judge(Survives, fault="f1", until=32 * S), Outcome.FAIL, "s1 was silent for 11.000 s")


def test_silence_ends_where_the_rig_stops_the_node(run, judged):
    swarm = run(silent=("s1",))
    swarm.line("s1", "alive", 16 * S)
    swarm.change("s1", NodeState.STOPPED, 20 * S)
    judged(swarm.judge(Survives, fault="f1", nodes=["s1"], until=60 * S), Outcome.PASS)


@pytest.mark.parametrize(
    ("stages", "message"), [((), "never injected"), (STAGES[:1], "not observed"), (STAGES[:2], "never healed")]
)
def test_a_fault_that_did_nothing_was_not_survived(run, judged, stages, message):
    judged(run(stages=stages).judge(Survives, fault="f1"), Outcome.INCONCLUSIVE, message)


def test_a_console_that_was_not_heard_to_the_end(run, judged):
    swarm = run()
    swarm.change("s1", NodeState.UNHEARD, 20 * S)
    judged(swarm.judge(Survives, fault="f1", until=30 * S), Outcome.INCONCLUSIVE, "s1 said too much")


def test_parameters(run):
    with pytest.raises(ValidationError, match="a duration"):
        SurvivesParams(silence="x")
    assert Survives.resolve(SurvivesParams().model_dump(), run().context) == "life after f1"
    params = SurvivesParams(fault="cut").model_dump()
    assert Survives.resolve(params, run().context) == "life after f1"
    with pytest.raises(ValueError, match="no fault has the id or kind 'cat': did you mean 'cut'"):
        Survives.resolve({**params, "fault": "cat"}, run().context)


@pytest.fixture
def two(swarm_of):
    """two(): a cut, and 8 s later a reset of s2, which talks all the time but for some."""

    def make(silent_from=30 * S, silent_to=30 * S):
        faults = (FaultSpec("f1", "cut", BEGIN, S, {"between": ("coord", "s1")}),
                  FaultSpec("f2", "reset", 18 * S, None, {"node": "s2"}))  # fmt: skip
        swarm = swarm_of(faults=faults)
        swarm.started()
        swarm.booted()
        for fault, stages in (("f1", ((FaultStage.INJECTED, BEGIN), (FaultStage.OBSERVED, BEGIN),
                                      (FaultStage.HEALED, BEGIN + S))),
                              ("f2", ((FaultStage.INJECTED, 18 * S), (FaultStage.OBSERVED, 18 * S)))):  # fmt: skip
            for stage, t in stages:
                swarm.fault(stage, t, fault)
        for t in range(S, 30 * S, S // 2):
            for node in swarm.ids:
                if node != "s2" or not silent_from <= t < silent_to:
                    swarm.line(node, "alive", t)
        return swarm

    return make


def test_what_another_fault_does_is_not_this_ones_doing(two, judged):
    swarm = two()
    swarm.booted("s2", t=18 * S + MS)
    judged(swarm.judge(Survives, until=30 * S), Outcome.PASS, "survived f1, f2")


def test_a_node_that_only_another_fault_woke_did_not_survive(two, judged):
    judged(
        two(BEGIN, 18 * S).judge(Survives, until=30 * S, silence="5s"),
        Outcome.FAIL,
        "s2 was silent for 7.000 s after f1",
    )
    judged(two(BEGIN, 18 * S).judge(Survives, until=30 * S), Outcome.INCONCLUSIVE, "s2 was not heard between f1")


def test_a_fault_during_another_one(swarm_of, judged):
    """What the second does is its own doing; that the node is back is seen after the first."""
    faults = tuple(FaultSpec(f"f{n}", "pause", t, f, {"node": "s2"}) for n, t, f in ((1, BEGIN, 5 * S), (2, 12 * S, S)))
    swarm = swarm_of(sensors=2, faults=faults)
    swarm.started()
    for fault, start, end in (("f1", BEGIN, 15 * S), ("f2", 12 * S, 13 * S)):
        for stage, t in zip(FaultStage, (start, start, end), strict=False):
            swarm.fault(stage, t, fault)
    for t in (*range(S, BEGIN, S), *range(16 * S, 30 * S, S)):
        swarm.line("s2", "alive", t)
    judged(swarm.judge(Survives, nodes=["s2"], until=30 * S), Outcome.PASS)


def test_order_of_sources(two, judged):
    swarm = two(BEGIN, 17 * S)
    expected = swarm.judge(Survives, until=30 * S)
    swarm.facts.reverse()  # not even each source in its own order
    judged(expected, Outcome.PASS)
    assert swarm.judge(Survives, until=30 * S).outcome is Outcome.PASS
