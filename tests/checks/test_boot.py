"""all_nodes_boot and max_boot_time_s: good, bad, nothing."""

from swarmrig.checks.boot import AllNodesBoot, MaxBootTime
from swarmrig.model.facts import NodeState
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000


def test_all_booted_is_decided_early(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    assert swarm.judge(AllNodesBoot, final=False) is None
    swarm.booted("s2")
    judgement = judged(swarm.judge(AllNodesBoot, final=False), Outcome.PASS)
    assert str(judgement.evidence[0]) == "nodes/coord/console.log:1 (boot marker)"


def test_one_node_silent(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    swarm.line("s2", "rst:0x1 (POWERON)")
    judgement = judged(swarm.judge(AllNodesBoot), Outcome.FAIL, "s2")
    assert judgement.counted is Outcome.FAIL
    assert "nodes/s2/console.log:1" in str(judgement.evidence[0])
    assert judgement.measured["booted"] == ["coord", "s1"]


def test_no_node_booted_is_fatal(swarm, judged):
    swarm.started()
    judged(swarm.judge(AllNodesBoot), Outcome.FATAL, "coord, s1, s2")


def test_a_banner_is_no_boot(swarm, judged):
    swarm.started()
    for node in swarm.ids:
        swarm.line(node, "I (2) refnode: node_id=1 role=sensor CSI")
    judged(swarm.judge(AllNodesBoot), Outcome.FATAL)


def test_boot_without_any_fact(swarm, judged):
    assert swarm.judge(AllNodesBoot, final=False) is None
    judgement = judged(swarm.judge(AllNodesBoot), Outcome.INCONCLUSIVE, "no node was started")
    assert judgement.counted is Outcome.FATAL


def test_boot_of_nodes_from_elsewhere_is_ignored(swarm, judged):
    swarm.line("stranger", "app_main")
    judged(swarm.judge(AllNodesBoot), Outcome.INCONCLUSIVE)


def test_in_time(swarm, judged):
    swarm.started(t=2 * S)
    assert swarm.judge(MaxBootTime, final=False) is None
    swarm.booted(t=2 * S + 300 * MS)
    judgement = judged(swarm.judge(MaxBootTime, final=False), Outcome.PASS, "0.300 s")
    assert judgement.measured["boot_ns"] == {"coord": 300 * MS, "s1": 300 * MS, "s2": 300 * MS}


def test_one_too_slow(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    swarm.booted("s2", t=12 * S)
    judgement = judged(swarm.judge(MaxBootTime), Outcome.WARN, "s2 took 12.000 s", "10.000 s")
    assert judgement.counted is Outcome.WARN


def test_limit_is_inclusive_and_settable(swarm, judged):
    swarm.started()
    swarm.booted(t=12 * S)
    judged(swarm.judge(MaxBootTime, seconds=12), Outcome.PASS)
    judged(swarm.judge(MaxBootTime, seconds=11.999), Outcome.WARN)


def test_only_the_first_boot_counts(swarm, judged):
    swarm.started()
    swarm.booted()
    swarm.booted("s1", t=40 * S)
    swarm.change("s1", NodeState.STARTED, 39 * S)
    judged(swarm.judge(MaxBootTime), Outcome.PASS)


def test_never_booted_but_waited_longer_than_allowed(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    judged(swarm.judge(MaxBootTime, until=15 * S), Outcome.WARN, "s2 neither booted nor was found ready in 15.000 s")


def test_never_booted_in_a_run_too_short_to_tell(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    judgement = judged(swarm.judge(MaxBootTime, until=5 * S), Outcome.INCONCLUSIVE, "s2")
    assert judgement.counted is Outcome.WARN


def test_died_before_it_could_boot(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    swarm.exited("s2", 2 * S, code=1)
    judged(swarm.judge(MaxBootTime), Outcome.INCONCLUSIVE, "s2")


def test_boot_time_without_any_fact(swarm, judged):
    judged(swarm.judge(MaxBootTime), Outcome.INCONCLUSIVE, "was not seen starting")


def test_marker_without_a_start_is_no_time(swarm, judged):
    swarm.booted()
    judged(swarm.judge(MaxBootTime), Outcome.INCONCLUSIVE, "coord was not seen starting")


def test_who_finds_itself_ready_has_booted(swarm, judged):
    """Programs, containers and guests show no marker; their own probes tell."""
    swarm.started(t=2 * S)
    swarm.booted("coord", "s1", t=2 * S + 300 * MS)
    swarm.line("s2", "listening", t=2 * S)
    judged(swarm.judge(AllNodesBoot), Outcome.FAIL, "neither a boot marker nor readiness of s2")
    swarm.change("s2", NodeState.READY, 3 * S)
    judgement = judged(swarm.judge(AllNodesBoot, final=False), Outcome.PASS)
    assert "events.jsonl (node.ready of s2)" in [str(evidence) for evidence in judgement.evidence]
    times = judged(swarm.judge(MaxBootTime, final=False), Outcome.PASS, "1.000 s").measured["boot_ns"]
    assert times["s2"] == 1 * S
    judged(swarm.judge(MaxBootTime, seconds=0.9), Outcome.WARN, "s2 took 1.000 s")
