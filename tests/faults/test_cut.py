"""The cut fault: injected on a real engine's terms, proved by what the wire shows."""

import random

import anyio
import pytest
from pydantic import ValidationError

from swarmrig.api import FaultContext, NodePlan, Proof, ProofStatus
from swarmrig.faults.cut import Cut, CutParams
from swarmrig.faults.observation import KEPT
from swarmrig.model.facts import ConsoleLine, FaultStage, Frame
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.topology import plan_network
from swarmrig.plugins import Registry

S = 1_000_000_000
CUT, HEALED = 10 * S, 15 * S
LINK = "coord--s1"


def make_scenario(topology=Topology.STAR):
    nodes = tuple(
        NodeSpec(name, number, role=Role.SENSOR if number else Role.COORDINATOR)
        for number, name in enumerate(("coord", "s1", "s2", "s3"))
    )
    scenario = Scenario("paper", 60 * S, 0, TimeMode.REAL, NetworkSpec(topology), nodes)
    return scenario, plan_network(scenario, [NodePlan(node, ()) for node in nodes])


def spec(between=("coord", "s1"), for_ns=HEALED - CUT):
    return FaultSpec("cut-1", "cut", CUT, for_ns, {"between": between})


class Links:
    """What the engine's control does: remembers, and says when it took effect."""

    def __init__(self, *times):
        self.times = list(times)
        self.calls = []

    async def set_link(self, link, changes, *, layer):
        self.calls.append((link, dict(changes), layer))
        return self.times.pop(0)


class Rig:
    """A cut with everything around it."""

    def __init__(self, cut_spec=None):
        self.links = Links(CUT + 1000, HEALED + 1000)
        self.stages = []
        scenario, network = make_scenario()
        context = FaultContext(scenario, network, self.links, {}, lambda: 0, self.emit, random.Random(0), None, None)
        self.cut = Cut(cut_spec or spec(), context)
        self.number = 0

    def emit(self, stage, data):
        self.stages.append((stage, data["t_ns"]))

    def inject(self):
        anyio.run(self.cut.inject)

    def heal(self):
        anyio.run(self.cut.heal)

    @property
    def message(self):
        return self.cut.proved().message

    @property
    def is_proved(self):
        return self.cut.proved().status is ProofStatus.PROVED

    def frame(self, t, fate=Fate.DELIVERED, link=LINK):
        self.number += 1
        self.cut.observe(Frame(t, link, "s1", self.number, b"", fate, fate is Fate.DELIVERED))
        return self.number


@pytest.fixture
def rig():
    return Rig()


def test_the_whole_life_of_a_cut(rig):
    rig.frame(CUT - S)
    rig.inject()
    down = rig.frame(CUT + S, Fate.DOWN)
    rig.frame(CUT + 2 * S, Fate.DOWN)
    rig.heal()
    up = rig.frame(HEALED + S)
    rig.frame(HEALED + 2 * S)
    assert rig.cut.proved() == Proof(
        ProofStatus.PROVED,
        f"net/{LINK}.pcapng#{down} was dropped, net/{LINK}.pcapng#{up} crossed after healing",
    )
    assert rig.links.calls == [(LINK, {"up": False}, "cut-1"), (LINK, {}, "cut-1")]
    assert rig.stages == [
        (FaultStage.INJECTED, CUT + 1000),
        (FaultStage.OBSERVED, CUT + S),
        (FaultStage.HEALED, HEALED + 1000),
        (FaultStage.HEAL_OBSERVED, HEALED + S),
    ]


def test_nobody_tried_to_cross(rig):
    rig.inject()
    rig.heal()
    rig.frame(HEALED + S)
    expected = f"no frame tried to cross {LINK} while it was down"
    assert rig.cut.proved() == Proof(ProofStatus.INDETERMINATE, expected)
    assert FaultStage.OBSERVED not in [stage for stage, _ in rig.stages]


def test_a_frame_gets_through(rig):
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN)
    leak = rig.frame(CUT + 2 * S)
    rig.heal()
    rig.frame(HEALED + S)
    expected = f"net/{LINK}.pcapng#{leak} was delivered although the link was down"
    assert rig.cut.proved() == Proof(ProofStatus.FAILED, expected)


def test_no_traffic_after_healing(rig):
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN)
    rig.heal()
    assert rig.cut.proved().status is ProofStatus.INDETERMINATE
    assert "no frame crossed coord--s1 after it healed" in rig.message


def test_never_injected(rig):
    rig.frame(CUT + S)
    assert rig.cut.proved() == Proof(ProofStatus.FAILED, f"{LINK} was never touched")


def test_never_healed(rig):
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN)
    assert not rig.is_proved


def test_a_frame_that_crosses_a_cut_that_was_never_healed_is_a_leak(rig):
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN)
    rig.frame(CUT + 2 * S)
    rig.cut.conclude()
    assert "although the link was down" in rig.message


def test_for_good_needs_no_healing():
    rig = Rig(spec(for_ns=None))
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN)
    assert rig.cut.proved() == Proof(ProofStatus.PROVED, f"net/{LINK}.pcapng#1 was dropped")


@pytest.mark.parametrize("fate", [Fate.LOSS, Fate.BURST, Fate.QUEUE, Fate.OVERRUN])
def test_frames_lost_for_other_reasons_prove_nothing(rig, fate):
    rig.inject()
    rig.frame(CUT + S, fate)
    rig.heal()
    rig.frame(HEALED + S)
    assert "no frame tried to cross" in rig.message


def test_other_links_and_other_facts_prove_nothing(rig):
    rig.inject()
    rig.frame(CUT + S, Fate.DOWN, link="coord--s2")
    rig.cut.observe(ConsoleLine(CUT + S, "s1", 1, "link down"))
    assert not rig.is_proved


def test_frames_at_the_very_instant_belong_to_before(rig):
    rig.inject()
    rig.frame(CUT + 1000)
    rig.frame(CUT + 1001, Fate.DOWN)
    rig.heal()
    rig.frame(HEALED + 1000)
    assert rig.is_proved


def test_facts_may_come_before_and_after_the_calls_they_belong_to():
    """Captures are read now and then: what they tell must not depend on when."""
    frames = [(CUT + S, Fate.DOWN), (CUT + 2 * S, Fate.DOWN), (HEALED + S, Fate.DELIVERED)]
    frames.insert(0, (CUT + 500, Fate.DELIVERED))  # after the schedule's time, before the cut took effect
    for seed in range(30):
        rig, chance = Rig(), random.Random(seed)
        calls = [rig.inject, rig.heal]
        waiting = list(frames)
        while calls or waiting:
            if waiting and (not calls or chance.random() < 0.6):
                rig.frame(*waiting.pop(0))
            else:
                calls.pop(0)()
        assert rig.is_proved, seed
        assert sorted(stage for stage, _ in rig.stages) == sorted(
            [FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED]
        )


def test_memory_is_bounded(rig):
    rig.inject()
    for number in range(20_000):
        rig.frame(CUT + S + number)
    assert len(rig.cut._contrary._waiting) <= KEPT and len(rig.cut._end._waiting) <= KEPT


@pytest.mark.parametrize(
    ("topology", "between", "link"),
    [
        (Topology.STAR, ("s1", "coord"), "coord--s1"),
        (Topology.STAR, (0, 2), "coord--s2"),
        (Topology.RING, ("s3", "coord"), "s3--coord"),
        (Topology.LINE, ("s1", "s2"), "s1--s2"),
        (Topology.MESH, ("lan", "s2"), "lan--s2"),
        (Topology.STAR, ("coord", "aggregator"), "aggregator--coord"),
    ],
)
def test_it_names_the_link(topology, between, link):
    scenario, network = make_scenario(topology)
    assert Cut.resolve(spec(between), scenario, network) == f"cut the link {link} for 5s"
    assert Cut.resolve(spec(between, None), scenario, network) == f"cut the link {link} for good"


@pytest.mark.parametrize(("topology", "between"), [(Topology.STAR, ("s1", "s2")), (Topology.LINE, ("coord", "s9"))])
def test_no_such_link(topology, between):
    scenario, network = make_scenario(topology)
    with pytest.raises(ValueError, match="no link joins"):
        Cut.resolve(spec(between), scenario, network)


@pytest.mark.parametrize(
    "params", [{}, {"between": ["a"]}, {"between": ["a", "b", "c"]}, {"between": ["a", "a"]}, {"between": "ab", "x": 1}]
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        CutParams(**params)


def test_it_is_an_entry_point():
    assert Registry.load().fault("cut") is Cut
