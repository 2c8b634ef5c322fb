"""network_partitioned_recovery: before, during and after a cut."""

import random

import pytest

from swarmrig.checks.recovery import NetworkPartitionedRecovery
from swarmrig.model.facts import FaultStage
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, Topology
from swarmrig.model.verdict import Outcome
from swarmrig.wire.tdm import GROUP, Beacon

S = 1_000_000_000
MS = 1_000_000
CUT, HEALED = 10 * S, 15 * S


@pytest.fixture
def cut_swarm(swarm_of):
    def make(between=("coord", "s1"), for_ns=HEALED - CUT, **options):
        return swarm_of(faults=(FaultSpec("cut-1", "cut", CUT, for_ns, {"between": between}),), **options)

    return make


def traffic(swarm, start, end, *, node="s1", fate=Fate.DELIVERED, link=None, sender=None, every=50 * MS):
    for seq, t in enumerate(range(start, end, every), start=start // every):
        swarm.csi(node, t, seq, fate=fate, link=link, sender=sender or node)


def cut_and_healed(swarm, *, resumed_at=HEALED + 100 * MS, end=30 * S):
    traffic(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, HEALED, fate=Fate.DOWN)
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, resumed_at, end)


def test_it_recovers_and_says_so_early(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm)
    judgement = judged(
        swarm.judge(NetworkPartitionedRecovery, final=False), Outcome.PASS, "resumed 0.100 s after healing"
    )
    assert [item.note for item in judgement.evidence] == ["before the fault", "after healing"]
    assert judgement.measured["resumed_after_ns"] == {"cut-1": 100 * MS}


def test_it_resumes_too_late(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm, resumed_at=HEALED + 12 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.FAIL, "12.000 s after healing, later than 10s")
    judged(swarm.judge(NetworkPartitionedRecovery, within="13s"), Outcome.PASS)


def test_it_does_not_resume(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm, end=HEALED)
    assert swarm.judge(NetworkPartitionedRecovery, final=False) is None
    judged(swarm.judge(NetworkPartitionedRecovery, until=60 * S), Outcome.FAIL, "did not resume in 45.000 s")


def test_the_run_ends_too_soon_to_tell(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm, end=HEALED)
    judged(swarm.judge(NetworkPartitionedRecovery, until=20 * S), Outcome.INCONCLUSIVE, "when the run ended")


def test_beacons_alone_are_no_recovery(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm, end=HEALED)
    for number in range(100):
        payload = Beacon(0, 3, number, 50_000, 0).pack()
        swarm.send("coord.switch", payload, HEALED + number * 50 * MS, to=GROUP, link="coord--s1")
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.FAIL, "CSI of node 1 from s1 did not resume")


def test_without_data_any_traffic_will_do(cut_swarm, judged):
    swarm = cut_swarm()
    swarm.vitals("s1", S)
    swarm.fault(FaultStage.INJECTED, CUT)
    swarm.vitals("s1", CUT + S, fate=Fate.DOWN)
    swarm.fault(FaultStage.HEALED, HEALED)
    swarm.vitals("s1", HEALED + S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS, "1.000 s")


def test_nothing(cut_swarm, judged):
    judged(cut_swarm().judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "never injected")


def test_no_cut_in_the_scenario(swarm, judged):
    traffic(swarm, 0, 20 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "no cut, partition")


def test_no_traffic_before(cut_swarm, judged):
    swarm = cut_swarm()
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, HEALED, fate=Fate.DOWN)
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, HEALED, 30 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "no traffic crossed before")


def test_nobody_tried_to_cross(cut_swarm, judged):
    swarm = cut_swarm()
    traffic(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT)
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, HEALED, 30 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "no frame tried to cross")


def test_a_cut_that_lets_frames_through_proves_nothing(cut_swarm, judged):
    swarm = cut_swarm()
    traffic(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, HEALED)
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, HEALED, 30 * S)
    judgement = judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "while none should have")
    assert judgement.evidence[0].file == "net/coord--s1.pcapng"


@pytest.mark.parametrize("for_ns", [HEALED - CUT, None])
def test_never_healed(cut_swarm, judged, for_ns):
    swarm = cut_swarm(for_ns=for_ns)
    traffic(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, 60 * S, fate=Fate.DOWN)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "never healed")


def test_every_flow_must_come_back(cut_swarm, judged):
    """On a ring, a link carries the data of two sensors: one of them is not enough."""
    swarm = cut_swarm(between=("coord", "s1"), sensors=3, topology=Topology.RING)
    link = {"link": swarm.link_between("coord", "s1"), "sender": "s1.router"}
    for node in ("s1", "s2"):
        traffic(swarm, S, CUT, node=node, **link)
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, HEALED, fate=Fate.DOWN, **link)
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, HEALED, 30 * S, **link)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.FAIL, "CSI of node 2 from s1.router did not resume")
    traffic(swarm, HEALED + S, 30 * S, node="s2", **link)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS, "1.000 s")


# partitions and dead radios


SETS = (("coord", "s1"), ("s2",))


def parted(swarm_of, kind="partition", params=None, **options):
    spec = FaultSpec("cut-1", kind, CUT, HEALED - CUT, params or {"sets": SETS})
    return swarm_of(faults=(spec,), **options)


def flow(swarm, start, end, *, node="s2", fate=Fate.DELIVERED):
    """Frames of a node to the hub: on its own link, and on the hub's; there they are stopped at the switch."""
    for seq, t in enumerate(range(start, end, 50 * MS), start=start // (50 * MS)):
        swarm.csi(node, t, seq)
        swarm.arrival(node, t + 5 * MS, seq, fate=fate)


def parted_and_healed(swarm, *, meanwhile=Fate.BLACKHOLE, resumed_at=HEALED + 100 * MS, end=30 * S):
    flow(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT)
    flow(swarm, CUT + MS, HEALED, fate=meanwhile)
    swarm.fault(FaultStage.HEALED, HEALED)
    flow(swarm, resumed_at, end)


@pytest.mark.parametrize("topology", [Topology.STAR, Topology.MESH, Topology.RING, Topology.LINE])
def test_a_partition_is_followed_from_end_to_end(swarm_of, judged, topology):
    swarm = parted(swarm_of, topology=topology)
    parted_and_healed(swarm)
    judgement = judged(swarm.judge(NetworkPartitionedRecovery, final=False), Outcome.PASS, "resumed 0.105 s")
    link = swarm.context.network.device("coord").link
    assert [item.file for item in judgement.evidence] == [f"net/{link}.pcapng"] * 2


def test_a_partition_that_does_not_recover(swarm_of, judged):
    swarm = parted(swarm_of)
    parted_and_healed(swarm, end=HEALED)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.FAIL, "coord, s1 | s2", "CSI of node 2 from s2 to coord")


def test_a_partition_that_parts_nothing(swarm_of, judged):
    swarm = parted(swarm_of)
    parted_and_healed(swarm, meanwhile=Fate.DELIVERED)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "while none should have")


def test_what_was_on_its_way_may_still_arrive(swarm_of, judged):
    swarm = parted(swarm_of)
    flow(swarm, S, CUT)
    swarm.arrival("s2", CUT + 900 * MS, 9999)
    parted_and_healed(swarm)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS)
    swarm.arrival("s2", CUT + 1100 * MS, 99999)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "while none should have")


def test_within_a_set_nothing_is_expected(swarm_of, judged):
    swarm = parted(swarm_of)
    for node in ("s1", "s2"):
        flow(swarm, S, CUT, node=node)
    swarm.fault(FaultStage.INJECTED, CUT)
    flow(swarm, CUT + MS, HEALED, node="s1")
    flow(swarm, CUT + MS, HEALED, fate=Fate.BLACKHOLE)
    swarm.fault(FaultStage.HEALED, HEALED)
    flow(swarm, HEALED, 30 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS)


def test_a_dead_radio_takes_all_links_of_its_node(swarm_of, judged):
    swarm = parted(swarm_of, "wifi_kill", {"node": "s1"}, sensors=3, topology=Topology.RING)
    here, there = swarm.link_between("coord", "s1"), swarm.link_between("s1", "s2")
    for link in (here, there):
        traffic(swarm, S, CUT, link=link, sender="s1.router")
    swarm.fault(FaultStage.INJECTED, CUT)
    traffic(swarm, CUT + MS, HEALED, fate=Fate.DOWN, link=here, sender="s1.router")
    swarm.fault(FaultStage.HEALED, HEALED)
    traffic(swarm, HEALED, 30 * S, link=here, sender="s1.router")
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.FAIL, f"on {there} did not resume")
    traffic(swarm, HEALED, 30 * S, link=there, sender="s1.router")
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS)


def test_only_the_named_fault_is_judged(swarm_of, judged):
    faults = (
        FaultSpec("cut-1", "cut", CUT, HEALED - CUT, {"between": ("coord", "s1")}),
        FaultSpec("late", "cut", 40 * S, S, {"between": ("coord", "s2")}),
    )
    swarm = swarm_of(faults=faults)
    cut_and_healed(swarm)
    judged(swarm.judge(NetworkPartitionedRecovery, fault="cut-1"), Outcome.PASS)
    judged(swarm.judge(NetworkPartitionedRecovery, fault="late"), Outcome.INCONCLUSIVE, "never injected")
    params = {"fault": "lade", "within": 1}
    with pytest.raises(ValueError, match="no fault has the id or kind 'lade': did you mean 'late'"):
        NetworkPartitionedRecovery.resolve(params, swarm.context)


def test_a_fault_that_waits_for_something_has_no_time_beforehand(swarm_of, judged):
    swarm = swarm_of(faults=(FaultSpec("cut-1", "cut", None, HEALED - CUT, {"between": ("coord", "s1")}),))
    cut_and_healed(swarm)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS, "0.100 s")


def test_a_stray_frame_and_what_died_long_before_need_not_come_back(cut_swarm, judged):
    swarm = cut_swarm()
    traffic(swarm, 0, S, node="s2", sender="coord.switch", link="coord--s1")
    swarm.csi("s2", CUT - S // 2, 7, sender="aggregator", link="coord--s1")
    cut_and_healed(swarm)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS)


def test_a_later_cut_is_no_proof_of_an_earlier_one(swarm_of, judged):
    """Nobody tried to cross during the first cut; what the second one stops is not its evidence."""
    faults = tuple(FaultSpec(f"cut-{n}", "cut", t, S, {"between": ("coord", "s1")}) for n, t in ((1, CUT), (2, 20 * S)))
    swarm = swarm_of(faults=faults)
    traffic(swarm, S, CUT)
    swarm.fault(FaultStage.INJECTED, CUT, "cut-1")
    swarm.fault(FaultStage.HEALED, CUT + S, "cut-1")
    traffic(swarm, CUT + S, 20 * S)
    swarm.fault(FaultStage.INJECTED, 20 * S, "cut-2")
    traffic(swarm, 20 * S + MS, 21 * S, fate=Fate.DOWN)
    swarm.fault(FaultStage.HEALED, 21 * S, "cut-2")
    traffic(swarm, 21 * S, 30 * S)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "cut-1", "no frame tried to cross")
    judged(swarm.judge(NetworkPartitionedRecovery, fault="cut-2"), Outcome.PASS)


def test_other_links_do_not_matter(cut_swarm, judged):
    swarm = cut_swarm()
    cut_and_healed(swarm)
    traffic(swarm, 0, 30 * S, node="s2")
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.PASS)


def test_every_cut_is_judged(swarm_of, judged):
    faults = (
        FaultSpec("cut-1", "cut", CUT, HEALED - CUT, {"between": ("coord", "s1")}),
        FaultSpec("cut-2", "cut", 40 * S, S, {"between": ("coord", "s2")}),
        FaultSpec("other", "reset", 40 * S, S, {"node": "s2"}),
    )
    swarm = swarm_of(faults=faults)
    cut_and_healed(swarm)
    judged(swarm.judge(NetworkPartitionedRecovery), Outcome.INCONCLUSIVE, "cut-2 (coord--s2): it was never injected")


def test_facts_of_different_sources_in_any_order(cut_swarm):
    """Frames, faults and consoles each come in time order, but not in step."""
    swarm = cut_swarm()
    cut_and_healed(swarm)
    expected = swarm.judge(NetworkPartitionedRecovery)
    faults = [fact for fact in swarm.facts if hasattr(fact, "stage")]
    frames = [fact for fact in swarm.facts if not hasattr(fact, "stage")]
    for order in ([*faults, *frames], [*frames, *faults], *(merged(faults, frames, seed) for seed in range(20))):
        swarm.facts = order
        assert swarm.judge(NetworkPartitionedRecovery) == expected


def merged(first, second, seed):
    chance, first, second = random.Random(seed), list(first), list(second)
    facts = []
    while first or second:
        facts.append((first if not second or (first and chance.random() < 0.1) else second).pop(0))
    return facts
