"""How link faults weigh what they see: chances, times, phases, and what must not be mistaken for evidence."""

from __future__ import annotations

import random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from links_rig import END, MS, START, Idle, Links, Rig, S, make_scenario, make_spec

from swarmrig.api import ProofStatus
from swarmrig.faults.frames_corrupt import DAMAGE, FRAME_BUFFER
from swarmrig.faults.links_meters import ChanceMeter, Change, Decision, Phase, TransitMeter, passed_on
from swarmrig.faults.links_place import place_of
from swarmrig.model.facts import FaultStage, Frame
from swarmrig.model.network import Fate, GilbertElliott, Impairment
from swarmrig.model.scenario import Topology
from swarmrig.wire.csi import HEADER_BYTES, Csi
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol, decrement_ttl


def frame(fate=Fate.DELIVERED, note=None, t_ns=0, link="coord--s1", sender="s1", data=b"x" * 60, number=1):
    comment = fate.value if note is None and fate is not Fate.DELIVERED else note or ""
    return Frame(t_ns, link, sender, number, data, fate, not fate.modelled_drop and fate is not Fate.OVERRUN, comment)


def place(between=("coord", "s1"), **more):
    scenario, network = make_scenario()
    return place_of({"between": between, **more}, scenario, network), network


def chance_meter(name, old, new):
    where, _ = place()
    return ChanceMeter(name, where, dict.fromkeys(where.senders, Change(old, new)))


@pytest.mark.parametrize("chance", [0.02, 0.2, 0.5, 1.0])
def test_an_injector_that_does_nothing_is_hardly_ever_believed(chance):
    """A decision is wrong in at most one of a hundred cases, by construction."""
    wrong = 0
    for seed in range(300):
        draw = random.Random(seed).random
        meter = chance_meter("loss", Impairment(loss=0.1), Impairment(loss=chance))
        for _ in range(2000):
            meter.observe(frame(Fate.LOSS if draw() < 0.1 else Fate.DELIVERED), Phase.DURING)
            if meter.began.made:
                break
        wrong += meter.began.shown is not None
    assert wrong <= 6, wrong


def test_a_healing_burst_is_believed_only_after_many_frames():
    """Between two bursts nothing is lost for a while: that does not mean that they are over."""
    wrong = 0
    bursts = GilbertElliott(0.05, 0.3)
    for seed in range(300):
        draw, bad = random.Random(seed).random, False
        meter = chance_meter("burst", Impairment(), Impairment(burst=bursts))
        for _ in range(200):
            bad = draw() >= bursts.to_good if bad else draw() < bursts.to_bad
            meter.observe(frame(Fate.BURST if bad else Fate.DELIVERED), Phase.AFTER)
        wrong += meter.ended.shown is not None
    assert wrong <= 6, wrong


@pytest.mark.parametrize(
    ("name", "fate", "note", "counts"),
    [
        ("loss", Fate.DOWN, None, False),
        ("loss", Fate.BLACKHOLE, None, False),
        ("loss", Fate.BURST, None, True),
        ("burst", Fate.LOSS, None, False),
        ("burst", Fate.DOWN, None, False),
        ("corrupt", Fate.LOSS, None, False),
        ("duplicate", Fate.QUEUE, None, False),
        ("reorder", Fate.OVERRUN, None, False),
    ],
)
def test_what_was_struck_by_something_else_first_says_nothing(name, fate, note, counts):
    value = GilbertElliott(0.5, 0.5) if name == "burst" else 0.5
    meter = chance_meter(name, Impairment(), Impairment(**{name: value}))
    meter.observe(frame(fate, note), Phase.DURING)
    assert meter.began.frames == counts


def test_all_that_happened_to_a_frame_is_seen():
    for name in ("corrupt", "duplicate", "reorder"):
        meter = chance_meter(name, Impairment(), Impairment(**{name: 0.5}))
        meter.observe(frame(Fate.CORRUPTED, "corrupted: bit 7; duplicated; reordered; injected"), Phase.DURING)
        assert meter.began.hits == 1


@given(st.lists(st.booleans(), max_size=300), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_decision_stands(hits, so, not_so):
    decision, made = Decision(), []
    for number, hit in enumerate(hits):
        decision.count(frame(number=number), hit, so, not_so)
        assert not (decision.shown and decision.refuted)
        made.append(decision.shown or decision.refuted)
    assert len({each.number for each in made if each is not None}) <= 1


def test_other_links_senders_and_times_say_nothing():
    meter = chance_meter("loss", Impairment(), Impairment(loss=0.5))
    for other in (frame(Fate.LOSS, link="coord--s2"), frame(Fate.LOSS, sender="s3")):
        meter.observe(other, Phase.DURING)
    meter.observe(frame(Fate.LOSS), Phase.BEFORE)
    assert meter.began.frames == meter.ended.frames == 0


def transit_meter(old=None, new=None):
    where, network = place()
    change = Change(old or Impairment(), new or Impairment(latency_ns=50 * MS))
    meter = TransitMeter(where, dict.fromkeys(where.senders, change), network)
    meter.begin(Phase.DURING, 0)
    return meter


def cross(meter, took_ns, entered_ns=S, data=b"y" * 60, phase=Phase.DURING):
    meter.observe(frame(t_ns=entered_ns, data=data), phase)
    meter.observe(frame(t_ns=entered_ns + took_ns, data=data, link="coord", sender="coord.switch"), phase)
    return meter.began if phase is Phase.DURING else meter.ended


def test_a_time_that_only_the_change_allows():
    assert cross(transit_meter(), 50 * MS).shown is not None
    assert cross(transit_meter(), 5 * MS).refuted is not None
    assert not cross(transit_meter(), 20 * MS).made  # neither of the two


def test_right_after_the_change_frames_may_still_wait_for_others():
    slow = Impairment(latency_ns=5 * MS, jitter_ns=90 * MS)
    meter = transit_meter(slow, Impairment(latency_ns=5 * MS))
    assert not cross(meter, 60 * MS, entered_ns=MS).made
    assert cross(meter, 60 * MS, entered_ns=S).refuted is not None


def test_the_same_bytes_twice_are_told_apart_by_nobody():
    meter = transit_meter()
    for t_ns in (S, S + MS):
        meter.observe(frame(t_ns=t_ns), Phase.DURING)
    meter.observe(frame(t_ns=S + 50 * MS, link="coord", sender="coord.switch"), Phase.DURING)
    assert not meter.began.made


def test_frames_that_are_passed_on_by_others_or_never_say_nothing():
    meter = transit_meter()
    meter.observe(frame(t_ns=S), Phase.DURING)
    meter.observe(frame(t_ns=S + 50 * MS, link="coord", sender="coord"), Phase.DURING)
    assert not meter.began.made
    for number in range(10_000):
        meter.observe(frame(t_ns=S, data=number.to_bytes(60, "big")), Phase.DURING)
    assert len(meter._under_way) <= 4096


def test_what_a_full_queue_drops_shows_the_rate():
    meter = transit_meter(Impairment(), Impairment(rate_bps=1000))
    meter.observe(frame(Fate.QUEUE), Phase.DURING)
    assert "found the queue full" in meter.told(meter.began)


def test_a_router_changes_a_packet_on_its_way():
    packet = Ipv4("10.1.0.2", "10.1.1.2", Protocol.UDP, b"payload", id=7).pack()
    before = Ethernet("52:54:00:00:00:01", "52:54:00:00:00:02", EtherType.IPV4, packet).pack() + bytes(20)
    after = Ethernet("52:54:00:00:00:03", "52:54:00:00:00:04", EtherType.IPV4, decrement_ttl(packet)).pack()
    assert before != after and passed_on(before) == passed_on(after)
    other = Ipv4("10.1.0.2", "10.1.1.2", Protocol.UDP, b"payload", id=8).pack()
    assert passed_on(before) != passed_on(before[:14] + other)


@pytest.mark.parametrize("kind", ["latency", "loss"])
def test_degrading_a_routed_link(kind):
    params = {
        "between": ("s1", "coord"),
        "latency" if kind == "latency" else "loss": "60ms" if kind == "latency" else "30%",
    }
    proof = Rig("degrade", params, topology=Topology.LINE, count=3).live()
    assert proof.status is ProofStatus.PROVED, proof.message


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("partition", {"sets": [["coord", "aggregator"], ["s1", "s2"]]}),
        ("wifi_kill", {"node": "s1"}),
        ("inject", {"between": ("s1", "coord"), "udp": {"src": "s1", "dst": "coord", "port": 9}}),
        ("ring_flood", {"node": "s2", "frames": 50}),
        ("ring_flood", {"node": "coord", "frames": 50}),
        ("corrupt_frame", {"node": "s1", "frames": 2}),
    ],
)
@pytest.mark.parametrize("topology", [Topology.LINE, Topology.RING])
def test_faults_of_routed_networks(kind, params, topology):
    for_ns = END - START if kind in ("partition", "wifi_kill") else None
    rig = Rig(kind, params, for_ns, topology=topology, count=3)
    if topology is Topology.RING and kind == "partition":
        assert {each.link for each in rig.fault._barriers} == {"coord--s1", "s2--coord"}
    assert rig.live().status is ProofStatus.PROVED
    assert Rig(kind, params, for_ns, topology=topology, count=3, links=Idle).live().status is not ProofStatus.PROVED


def test_a_frame_that_crosses_the_border_is_told():
    rig = Rig("partition", {"sets": [["coord"], ["s1", "s2", "s3"]]})
    rig.run(START)
    anyio.run(rig.fault.inject)
    rig.run(START + 200 * MS)
    for side in ("forward", "backward"):
        for layer in ("partition-1 0", "partition-1 1"):
            rig.engine.set_filter(rig.now, "coord", None, side, layer=layer)
    rig.run(END)
    anyio.run(rig.fault.heal)
    proof = rig.conclude()
    assert proof.status is ProofStatus.FAILED
    assert "net/coord.pcapng#" in proof.message and "crossed the border" in proof.message


def test_within_a_set_and_with_nodes_in_none_everything_goes_on():
    rig = Rig("partition", {"sets": [["s1"], ["s2"]]}, None)
    rig.run(START)
    anyio.run(rig.fault.inject)
    before = {link: len(records) for link, records in rig.records.items()}
    rig.run(END)
    fates = {comment for link in rig.records for *_, comment in rig.records[link][before[link] :]}
    assert fates == {None}


def test_a_flap_that_is_healed_in_the_middle_of_a_turn_comes_up():
    rig = Rig("flap", {"between": ("coord", "s1"), "period": "500ms"}, None)
    rig.run(START)

    async def live():
        await rig.fault.inject()
        with anyio.CancelScope() as scope:
            turns = 0

            async def until(t_ns):
                nonlocal turns
                rig.run(t_ns)
                turns += 1
                if turns == 4:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()

            object.__setattr__(rig.context, "wait_until", until)
            await rig.fault.hold(None)
        await rig.fault.heal()

    anyio.run(live)
    rig.run(rig.now + S)
    proof = rig.conclude()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert rig.engine.wires["coord--s1"].forward.impairment.up
    assert [stage for stage, _ in rig.stages][-1] is FaultStage.HEAL_OBSERVED


class Telling(Links):
    """While a link is being changed, all that happened up to then becomes known."""

    async def set_link(self, link, changes, **more):
        lag, self.rig.lag = self.rig.lag, 0
        self.rig._tell()
        self.rig.lag = lag
        return await super().set_link(link, changes, **more)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("degrade", {"between": ("coord", "s1"), "latency": "30ms", "loss": "30%"}),
        ("flap", {"between": ("coord", "s1"), "period": "500ms"}),
        ("wifi_kill", {"node": "s1"}),
    ],
)
def test_what_is_known_is_told_at_once_also_while_a_link_is_being_changed(kind, params):
    """The event log is written up to what is known: what came later would stand elsewhere in it, now and then."""
    rig = Rig(kind, params, links=Telling, lag=100 * S)
    assert rig.live().status is ProofStatus.PROVED
    assert [stage for stage, _ in rig.stages] == [
        FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED
    ]  # fmt: skip


class Buffer:
    """A node of which only the memory matters: the frame that it sends next."""

    def __init__(self, works=True):
        csi = Csi(1, 1, 8, 2437, 0, -40, -90, bytes(range(16)))
        self.works = works
        self.data = bytearray(csi.pack())

    async def read_memory(self, address, size):
        return bytes(self.data[address : address + size])

    async def write_memory(self, address, data):
        raise NotImplementedError

    async def flip_memory(self, address, mask):
        before = bytes(self.data[address : address + len(mask)])
        after = bytes(a ^ b for a, b in zip(before, mask, strict=True))
        if self.works:
            self.data[address : address + len(mask)] = after
        return before, after


@pytest.fixture
def with_buffer(monkeypatch):
    """Frames of s1 carry what is in its buffer; where that is needs no ELF file here."""
    from swarmrig.faults import frames_corrupt
    from swarmrig.faults.memory_place import Stretch

    monkeypatch.setattr(
        frames_corrupt, "place_of_symbol", lambda memory, symbol, offset, size: Stretch(symbol, offset, size)
    )

    def make(**how):
        node = Buffer(**how)

        class Plan:
            memory = None

        rig = Rig("corrupt_frame", {"node": "s1", "frames": 2}, None, nodes={"s1": node}, plans={"s1": Plan()})
        send = rig.send
        rig.send = lambda sender, receiver: send(sender, receiver, bytes(node.data))
        return rig, node

    return make


def test_the_change_in_the_frame_buffer_is_seen_on_the_wire(with_buffer):
    rig, node = with_buffer()
    proof = rig.live()
    assert proof.status is ProofStatus.PROVED
    assert "carries what was changed in memory" in proof.message
    assert node.data[HEADER_BYTES : HEADER_BYTES + 4] == bytes(a ^ b for a, b in zip(range(4), DAMAGE, strict=True))
    assert FRAME_BUFFER == "csi_frame"


def test_a_change_in_memory_that_did_not_happen(with_buffer):
    rig, _ = with_buffer(works=False)
    proof = rig.live()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "no CSI frame carries what was changed in memory" in proof.message


def test_nothing_waits_in_the_buffer(with_buffer):
    rig, node = with_buffer()
    node.data[0] ^= 1
    assert rig.live().status is ProofStatus.PROVED
    assert node.data[HEADER_BYTES] == 0


def test_a_link_that_goes_on_corrupting(with_buffer):
    rig = Rig("corrupt_frame", {"node": "s1", "frames": 2}, None)
    rig.run(START)
    anyio.run(rig.fault.inject)
    rig.engine.set_link(rig.now, "coord--s1", {"corrupt": 1.0}, "backward", layer="somebody else")
    rig.run(END)
    proof = rig.conclude()
    assert proof.status is ProofStatus.FAILED and "as well" in proof.message


def test_replay_of_what_was_never_recorded_fails():
    from swarmrig.errors import SwarmrigError

    rig = Rig("replay", {"between": ("s1", "coord"), "last": "100ms", "filter": "arp"}, None)
    rig.run(START)
    with pytest.raises(SwarmrigError, match="no frame to replay that matches 'arp'"):
        anyio.run(rig.fault.inject)


def test_replayed_frames_keep_the_gaps_between_them():
    rig = Rig("replay", {"between": ("s1", "coord"), "last": "200ms", "filter": "udp"}, None, gap_ns=50 * MS)
    rig.live()
    records = rig.records["coord--s1"]
    injected = [(t_ns, data) for t_ns, _, data, comment in records if comment == "injected"]
    former = [(t_ns, data) for t_ns, end, data, _ in records if end == 1 and START - 200 * MS <= t_ns < START]
    assert [(t_ns - START, data) for t_ns, data in injected] == [(t_ns - former[0][0], data) for t_ns, data in former]
    assert len(injected) == 4


def test_a_flood_that_is_mostly_lost_is_none():
    flood = {"node": "s1", "frames": 100, "within": "10ms"}
    assert Rig("ring_flood", flood, None, impairment=Impairment(loss=0.3)).live().status is ProofStatus.PROVED
    proof = Rig("ring_flood", flood, None, impairment=Impairment(loss=0.8)).live()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "100 of 100 frames entered" in proof.message


def test_a_flood_takes_the_time_that_it_was_given():
    rig = Rig("ring_flood", {"node": "s1"}, None)
    rig.live()
    times = [t_ns for t_ns, _, _, comment in rig.records["coord--s1"] if comment == "injected"]
    assert (len(times), times[0], times[-1]) == (1000, START, START + 100 * MS)
    assert len({data for _, _, data, comment in rig.records["coord--s1"] if comment == "injected"}) == 1000


def test_frames_of_others_are_not_taken_for_injected_ones():
    rig = Rig("inject", {"between": ("s1", "coord"), "hex": "ffffffffffff 525400000001 88b5 00", "count": 2}, None)
    rig.run(START)
    anyio.run(rig.fault.inject)
    other = bytes.fromhex("ffffffffffff52540000000188b501")
    rig.engine.inject(rig.now, "coord--s1", "s1", [(rig.now, other)])
    rig.run(END)
    assert rig.conclude().message.startswith("2 of 2 frames entered")


def test_a_fault_is_made_for_its_place_only():
    spec = make_spec("wifi_kill", {"node": "s1"})
    rig = Rig("wifi_kill", {"node": "s2"})
    assert rig.spec.params != spec.params
    assert rig.live().message.count("coord--s2") == 2
