"""Every fault of links and frames on a real engine: proved when it works, and never when the injector does nothing."""

import pytest
from links_rig import END, MS, START, Idle, Links, Rig, S

from swarmrig.api import ProofStatus
from swarmrig.model.facts import FaultStage
from swarmrig.model.network import GilbertElliott, Impairment
from swarmrig.model.scenario import Topology
from swarmrig.plugins import Registry

S1 = ("coord", "s1")
LASTING = {
    "latency": ("degrade", {"between": S1, "latency": "60ms"}),
    "shorter latency": ("degrade", {"between": S1, "latency": "1ms"}),
    "jitter": ("degrade", {"between": S1, "jitter": "30ms"}),
    "rate": ("degrade", {"between": S1, "rate": "60kbit"}),
    "queue full": ("degrade", {"between": S1, "rate": "20kbit", "queue": "100"}),
    "loss": ("degrade", {"between": S1, "loss": "20%"}),
    "bursts": ("degrade", {"between": S1, "burst": {"to_bad": "20%", "to_good": "40%"}}),
    "everything": ("degrade", {"between": S1, "latency": "40ms", "loss": "20%", "duplicate": "20%", "corrupt": "20%",
                               "reorder": "20%", "rate": "100kbit"}),
    "one way": ("degrade", {"between": ("s1", "coord"), "one_way": True, "latency": "60ms", "loss": "10%"}),
    "duplicate": ("duplicate", {"between": S1, "share": "20%"}),
    "reorder": ("reorder", {"between": S1, "share": "20%"}),
    "corrupt": ("corrupt", {"between": S1, "share": "20%"}),
    "flap": ("flap", {"between": S1, "period": "500ms"}),
    "blackhole": ("blackhole", {"between": S1, "filter": "udp.dport == 5005"}),
    "one-way blackhole": ("blackhole", {"between": ("s1", "coord"), "one_way": True, "filter": "udp"}),
    "partition": ("partition", {"sets": [["coord", "s1"], ["s2", "s3"]]}),
    "three sets": ("partition", {"sets": [["coord"], ["s1"], ["s2", "s3"]]}),
    "wifi_kill": ("wifi_kill", {"node": "s1"}),
    "wifi_kill of the hub": ("wifi_kill", {"node": 0}),
}  # fmt: skip
INSTANT = {
    "inject": ("inject", {"between": ("s1", "coord"), "udp": {"src": "s1", "dst": "coord", "port": 9, "text": "x"},
                          "count": 5}),
    "raw frame": ("inject", {"between": ("lan", "s1"), "hex": "ff:ff:ff:ff:ff:ff 525400000001 88b5 00"}),
    "replay": ("replay", {"between": ("s1", "coord"), "last": "300ms", "filter": "udp"}),
    "ring_flood": ("ring_flood", {"node": "s1"}),
    "corrupt_frame": ("corrupt_frame", {"node": "s1", "frames": 3}),
    "ring_flood of the hub": ("ring_flood", {"node": "coord", "frames": 100}),
    "corrupt_frame of the hub": ("corrupt_frame", {"node": 0, "frames": 3}),
}  # fmt: skip
EXACTLY_ONCE = [FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED]


def rig_for(name, **options):
    kind, params = {**LASTING, **INSTANT}[name]
    if name == "raw frame":
        options["topology"] = Topology.MESH
    return Rig(kind, params, END - START if name in LASTING else None, **options)


@pytest.mark.parametrize("name", LASTING)
def test_injection_and_healing_are_proved(name):
    rig = rig_for(name)
    proof = rig.live()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert "net/" in proof.message
    assert sorted(stage for stage, _ in rig.stages) == sorted(EXACTLY_ONCE)
    times = dict(rig.stages)
    assert times[FaultStage.INJECTED] == START <= times[FaultStage.OBSERVED] <= END
    assert times[FaultStage.HEALED] == END <= times[FaultStage.HEAL_OBSERVED]


@pytest.mark.parametrize("name", INSTANT)
def test_what_is_over_in_an_instant_is_proved(name):
    rig = rig_for(name)
    proof = rig.live()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert [stage for stage, _ in rig.stages][:2] == [FaultStage.INJECTED, FaultStage.OBSERVED]
    assert not Registry.load().fault(rig.spec.kind).heals


@pytest.mark.parametrize("name", [*LASTING, *INSTANT])
def test_an_injector_that_does_nothing_does_not_pass(name):
    rig = rig_for(name, links=Idle)
    proof = rig.live()
    assert proof.status in (ProofStatus.INDETERMINATE, ProofStatus.FAILED), proof.message
    assert FaultStage.OBSERVED not in [stage for stage, _ in rig.stages]


@pytest.mark.parametrize("name", [name for name in LASTING if name != "flap"])
def test_what_does_not_heal_does_not_pass(name):
    rig = rig_for(name, heal_links=Idle)
    proof = rig.live()
    assert proof.status is ProofStatus.INDETERMINATE, proof.message
    assert FaultStage.HEAL_OBSERVED not in [stage for stage, _ in rig.stages]


def test_a_flap_that_stays_down_does_not_pass():
    class StaysDown(Links):
        async def set_link(self, link, changes, **more):
            if changes or self.rig.now < END - S:
                return await super().set_link(link, changes, **more)
            return self.rig.now

    proof = Rig(*LASTING["flap"], links=StaysDown).live()
    assert proof.status is ProofStatus.INDETERMINATE, proof.message
    assert "after it healed" in proof.message


@pytest.mark.parametrize("name", [*LASTING, *INSTANT])
def test_facts_may_become_known_late(name):
    soon, late = rig_for(name), rig_for(name, lag=700 * MS)
    assert soon.live() == late.live()
    assert sorted(soon.stages) == sorted(late.stages)


@pytest.mark.parametrize("name", LASTING)
def test_silence_proves_nothing(name):
    rig = rig_for(name)
    rig.talking = False
    proof = rig.live()
    assert proof.status is ProofStatus.INDETERMINATE
    assert [stage for stage, _ in rig.stages if stage in EXACTLY_ONCE[1::2]] == []


@pytest.mark.parametrize("name", LASTING)
def test_what_is_for_good_needs_no_healing(name):
    kind, params = LASTING[name]
    rig = Rig(kind, params, None)
    proof = rig.live()
    assert proof.status is ProofStatus.PROVED, proof.message


@pytest.mark.parametrize("name", LASTING)
def test_links_are_afterwards_what_they_were_before(name):
    rig = rig_for(name, impairment=Impairment(latency_ns=7 * MS))
    before = {link: (wire.forward.impairment, wire.backward.impairment) for link, wire in rig.engine.wires.items()}
    rig.live()
    after = {link: (wire.forward.impairment, wire.backward.impairment) for link, wire in rig.engine.wires.items()}
    assert after == before


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("degrade", {"between": S1, "loss": "40%"}),
        ("degrade", {"between": S1, "loss": 0}),
        ("degrade", {"between": S1, "duplicate": 0}),
        ("degrade", {"between": S1, "latency": "50ms"}),
        ("corrupt", {"between": S1, "share": "60%"}),
        ("degrade", {"between": S1, "burst": {"to_bad": "50%", "to_good": "50%"}}),
    ],
)
@pytest.mark.parametrize("links", [Links, Idle])
def test_a_change_of_what_was_bad_before_is_told_from_what_it_was(kind, params, links):
    poor = Impairment(loss=0.1, duplicate=0.1, corrupt=0.1, jitter_ns=8 * MS, burst=GilbertElliott(0.05, 0.5))
    proof = Rig(kind, params, links=links, impairment=poor, gap_ns=10 * MS).live()
    assert (proof.status is ProofStatus.PROVED) is (links is Links), proof.message
