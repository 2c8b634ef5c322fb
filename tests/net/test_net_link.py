"""Link directions: what happens to a frame depends on the seed, the names, its ordinal and the times, and adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import PERFECT, Fate, GilbertElliott, Impairment
from swarmrig.net.impairment import changed
from swarmrig.net.link import BLOCK, Agenda, Direction, Record

FRAME = bytes(range(60))
RATIO = st.sampled_from([0.0, 0.01, 0.3, 1.0]) | st.floats(0, 1)

impairments = st.builds(
    Impairment,
    latency_ns=st.integers(0, 10_000),
    jitter_ns=st.integers(0, 5_000),
    loss=RATIO,
    burst=st.none() | st.builds(GilbertElliott, to_bad=RATIO, to_good=RATIO, good_loss=RATIO, bad_loss=RATIO),
    duplicate=RATIO,
    reorder=RATIO,
    corrupt=RATIO,
    rate_bps=st.none() | st.integers(1_000, 10**10),
    queue_bytes=st.integers(0, 2_000),
    up=st.booleans(),
)
traffic = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 200)), max_size=600)
"""(gap to the frame before, size)"""


class Bench:
    """A direction on its own agenda, with what came out and what was recorded."""

    def __init__(self, impairment: Impairment, *, link: str = "a--b", name: str = "forward", seed: int = 1,
                 access: bool = False) -> None:  # fmt: skip
        self.agenda = Agenda()
        self.records: list[Record] = []
        self.arrived: list[tuple[int, bytes]] = []
        self.direction = Direction(link, name, seed, impairment, self.agenda, access=access, record=self.records.append)
        self.direction.connect(lambda t_ns, frame: self.arrived.append((t_ns, frame)))

    def send(self, frames: list[tuple[int, int]]) -> Bench:
        t_ns = 0
        for number, (gap, size) in enumerate(frames):
            t_ns += gap
            self.direction.send(t_ns, numbered(number, size))
        return self

    def drain(self) -> Bench:
        for due, _, receiver, frame in sorted(self.agenda.heap, key=lambda entry: entry[:2]):
            receiver(due, frame)
        self.agenda.heap.clear()
        return self


def numbered(number: int, size: int = 60) -> bytes:
    return number.to_bytes(4, "big") + bytes(size)


def run(impairment: Impairment, count: int, **more: Any) -> Bench:
    return Bench(impairment, **more).send([(1_000, 60)] * count).drain()


@given(impairments, traffic)
@settings(max_examples=120, deadline=None)
def test_the_same_inputs_give_the_same_outputs(impairment: Impairment, frames: list[tuple[int, int]]) -> None:
    first, second = (Bench(impairment).send(frames).drain() for _ in range(2))
    assert first.arrived == second.arrived
    assert first.records == second.records


@given(impairments, traffic)
@settings(max_examples=120, deadline=None)
def test_what_is_sent_is_delivered_dropped_or_under_way(impairment: Impairment, frames: list[tuple[int, int]]) -> None:
    bench = Bench(impairment).send(frames)
    for under_way in (len(bench.agenda.heap), 0):
        counters = bench.direction.counters()
        assert counters.frames == len(frames) == len(bench.records)
        assert counters.under_way == under_way
        assert counters.frames + counters.duplicates == counters.delivered + under_way + sum(counters.drops.values())
        bench.drain()
    assert len(bench.arrived) == bench.direction.counters().delivered
    recorded = [comment for _, _, _, comment in bench.records if comment and comment.startswith("drop")]
    assert {fate: recorded.count(fate) for fate in recorded} == bench.direction.counters().drops
    assert bench.direction.counters().byte_count == sum(size + 4 for _, size in frames)


@given(impairments, traffic)
@settings(max_examples=120, deadline=None)
def test_frames_keep_their_order_unless_reordered(impairment: Impairment, frames: list[tuple[int, int]]) -> None:
    bench = Bench(replace(impairment, reorder=0.0, corrupt=0.0)).send(frames).drain()
    numbers = [int.from_bytes(frame[:4], "big") for _, frame in bench.arrived]
    assert numbers == sorted(numbers)
    times = [t_ns for t_ns, _ in bench.arrived]
    assert times == sorted(times)


@given(impairments, traffic)
@settings(max_examples=60, deadline=None)
def test_nothing_arrives_before_its_time(impairment: Impairment, frames: list[tuple[int, int]]) -> None:
    impairment = replace(impairment, corrupt=0.0, reorder=0.0)
    bench = Bench(impairment).send(frames).drain()
    sent = {record[2]: record[0] for record in bench.records}
    for t_ns, frame in bench.arrived:
        assert t_ns >= sent[frame] + impairment.latency_ns


def test_a_perfect_access_wire_delivers_at_once_and_counts() -> None:
    bench = Bench(PERFECT, access=True).send([(7, 60)] * 600)
    assert [t_ns for t_ns, _ in bench.arrived] == [7 * n for n in range(1, 601)]
    assert bench.direction.counters().delivered == 600
    assert not bench.agenda.heap


def test_a_perfect_wire_that_is_no_access_wire_goes_through_the_agenda() -> None:
    bench = Bench(PERFECT).send([(7, 60)])
    assert not bench.arrived
    assert bench.drain().arrived == [(7, numbered(0))]


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"link": "a--c"}, {"name": "backward"}], ids=["seed", "link", "direction"]
)
def test_other_seeds_links_and_directions_have_other_fates(other: dict[str, Any]) -> None:
    lossy = Impairment(loss=0.5)
    assert run(lossy, 200).arrived != run(lossy, 200, **other).arrived


def test_fates_do_not_depend_on_python_hash_randomisation_or_version() -> None:
    bench = run(Impairment(latency_ns=0, loss=0.1, duplicate=0.1, corrupt=0.1), 24, seed=42)
    fates = [(int.from_bytes(frame[:4], "big"), comment) for _, _, frame, comment in bench.records if comment]
    assert fates == [
        (1, "duplicated"), (5, "drop: loss"), (10, "corrupted: bit 249"), (11, "drop: loss"), (12, "duplicated"),
        (14, "drop: loss"), (16, "drop: loss"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "fate"), [("loss", Fate.LOSS), ("duplicate", Fate.DUPLICATED), ("corrupt", Fate.CORRUPTED),
                        ("reorder", Fate.REORDERED)],
)  # fmt: skip
def test_shares_are_kept(field: str, fate: Fate) -> None:
    bench = run(Impairment(**{field: 0.1}), 20_000)
    hit = sum(1 for record in bench.records if record[3] and record[3].startswith(fate.value))
    assert 1_850 < hit < 2_150  # 2000 expected, standard deviation 42
    assert run(Impairment(**{field: 1.0}), 300).records[0][3].startswith(fate.value)
    assert not any(record[3] for record in run(Impairment(**{field: 0.0}), 300).records)


def test_one_impairment_does_not_move_the_fates_of_another() -> None:
    def lost(impairment: Impairment) -> list[int]:
        records = run(impairment, 2_000).records
        return [number for number, record in enumerate(records) if record[3] == Fate.LOSS.value]

    alone = lost(Impairment(loss=0.05))
    assert alone == lost(Impairment(loss=0.05, corrupt=0.5, duplicate=0.5, jitter_ns=1000, rate_bps=10**9))
    assert set(alone) <= set(lost(Impairment(loss=0.1)))


def test_a_change_at_run_time_hits_the_same_ordinals_as_if_it_had_always_held() -> None:
    always = run(Impairment(loss=0.2), 1_000)
    late = Bench(PERFECT)
    late.send([(1_000, 60)] * 300)
    late.direction.configure(300_000, Impairment(loss=0.2))
    for number in range(300, 1_000):
        late.direction.send(1_000 * number + 1_000, numbered(number))
    late.drain()
    assert [record[3] for record in late.records[:300]] == [None] * 300
    assert [record[3] for record in late.records[300:]] == [record[3] for record in always.records[300:]]


def test_latency_and_jitter() -> None:
    bench = run(Impairment(latency_ns=5_000_000, jitter_ns=0), 3)
    assert [t_ns for t_ns, _ in bench.arrived] == [5_001_000, 5_002_000, 5_003_000]
    delays = [t_ns - (n + 1) * 10**9 for n, (t_ns, _) in enumerate(
        Bench(Impairment(latency_ns=1_000, jitter_ns=1_000)).send([(10**9, 60)] * 2_000).drain().arrived)]  # fmt: skip
    assert min(delays) >= 1_000
    assert max(delays) < 2_000
    assert 1_450 < sum(delays) / len(delays) < 1_550


def test_a_reordered_frame_overtakes() -> None:
    bench = Bench(Impairment(latency_ns=10_000, reorder=0.2)).send([(1_000, 60)] * 200).drain()
    numbers = [int.from_bytes(frame[:4], "big") for _, frame in bench.arrived]
    assert sorted(numbers) == list(range(200))
    assert numbers != sorted(numbers)


def test_corruption_flips_the_bit_that_the_comment_names() -> None:
    bench = run(Impairment(corrupt=1.0), 500)
    for (_, received), (_, _, sent, comment) in zip(bench.arrived, bench.records, strict=True):
        bit = int(str(comment).removeprefix("corrupted: bit "))
        difference = int.from_bytes(sent, "big") ^ int.from_bytes(received, "big")
        assert difference == 1 << (len(sent) * 8 - 1 - bit)


def test_several_fates_are_all_in_the_comment() -> None:
    bench = run(Impairment(corrupt=1.0, duplicate=1.0, reorder=1.0), 1)
    comment = bench.records[0][3]
    assert comment is not None
    assert comment.startswith("corrupted: bit ")
    assert comment.endswith("; duplicated; reordered")
    assert len(bench.arrived) == 2


def test_rate_spaces_frames_and_the_queue_is_bounded() -> None:
    megabyte_per_s = Impairment(latency_ns=0, rate_bps=8_000_000, queue_bytes=2_500)
    bench = Bench(megabyte_per_s)
    for number in range(5):
        bench.direction.send(0, numbered(number, 996))  # 1000 bytes each: 1 ms
    bench.drain()
    assert [t_ns for t_ns, _ in bench.arrived] == [1_000_000, 2_000_000]
    assert bench.direction.counters().drops == {Fate.QUEUE.value: 3}


def test_a_frame_larger_than_the_queue_passes_an_idle_link() -> None:
    bench = Bench(Impairment(latency_ns=0, rate_bps=8_000, queue_bytes=0)).send([(0, 96), (0, 96), (10**9, 96)]).drain()
    assert [t_ns for t_ns, _ in bench.arrived] == [100_000_000, 1_100_000_000]


def test_bursts_follow_the_chain() -> None:
    burst = GilbertElliott(to_bad=0.01, to_good=0.1)
    records = run(Impairment(burst=burst), 50_000).records
    lost = [record[3] == Fate.BURST.value for record in records]
    assert 0.07 < sum(lost) / len(lost) < 0.115  # stationary: 0.01 / 0.11 = 0.0909
    runs = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    assert 8 < sum(lost) / runs < 12.5  # mean burst length 1 / to_good


def test_a_link_that_is_down_drops_what_enters_but_not_what_is_under_way() -> None:
    bench = Bench(Impairment(latency_ns=5_000)).send([(1_000, 60)])
    bench.direction.configure(2_000, Impairment(latency_ns=5_000, up=False))
    bench.direction.send(2_000, numbered(1))
    bench.direction.configure(3_000, Impairment(latency_ns=5_000))
    bench.direction.send(3_000, numbered(2))
    bench.drain()
    assert bench.arrived == [(6_000, numbered(0)), (8_000, numbered(2))]
    assert bench.direction.counters().drops == {Fate.DOWN.value: 1}


def test_a_shorter_latency_does_not_let_later_frames_overtake() -> None:
    bench = Bench(Impairment(latency_ns=100_000), access=True).send([(0, 60)])
    bench.direction.configure(1, PERFECT)
    bench.direction.send(1, numbered(1))
    bench.drain()
    assert bench.arrived == [(100_000, numbered(0)), (100_000, numbered(1))]


def test_an_overrun_is_counted_apart_and_recorded_at_the_receivers_end() -> None:
    bench = run(Impairment(latency_ns=0), 2)
    bench.direction.overrun(2_000, numbered(1))
    counters = bench.direction.counters()
    assert (counters.frames, counters.delivered, counters.drops) == (2, 1, {"overrun": 1})
    assert bench.records[-1] == (2_000, 1, numbered(1), "overrun")


def test_an_empty_frame_survives_corruption() -> None:
    bench = Bench(Impairment(corrupt=1.0))
    bench.direction.send(0, b"")
    assert bench.drain().arrived == [(5_000_000, b"")]


def test_a_link_that_nobody_listens_to_swallows_frames() -> None:
    direction = Direction("x", "forward", 0, PERFECT, agenda := Agenda())
    direction.send(0, FRAME)
    due, _, receiver, frame = agenda.heap.pop()
    receiver(due, frame)
    assert direction.counters().delivered == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"los": 0.1}, "did you mean 'loss'"),
        ({"loss": 1.5}, "loss lies between 0 and 1"),
        ({"loss": True}, "loss lies between 0 and 1"),
        ({"loss": float("nan")}, "loss lies between 0 and 1"),
        ({"latency_ns": -1}, "latency_ns is a whole number"),
        ({"latency_ns": 1.5}, "latency_ns is a whole number"),
        ({"jitter_ns": 10**15}, "jitter_ns is a whole number"),
        ({"rate_bps": 0}, "rate_bps is a whole number"),
        ({"queue_bytes": "many"}, "queue_bytes is a whole number"),
        ({"up": 1}, "up is true or false"),
        ({"burst": {"to_bad": 0.1}}, "burst has the fields"),
        ({"burst": {"to_bad": 2, "to_good": 0.1}}, r"burst\.to_bad lies between 0 and 1"),
        ({"burst": 3}, "burst has the fields"),
    ],
)
def test_changes_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(PERFECT, changes)


def test_changes_may_come_as_json() -> None:
    impairment = changed(PERFECT, {"loss": 1, "burst": {"to_bad": 0.1, "to_good": 0.5}, "rate_bps": None})
    assert impairment == Impairment(latency_ns=0, loss=1, burst=GilbertElliott(0.1, 0.5))


def test_blocks_join_without_a_seam() -> None:
    bench = run(Impairment(loss=0.5), 3 * BLOCK + 1)
    assert bench.direction.frames == 3 * BLOCK + 1
    halves = [
        sum(record[3] is not None for record in bench.records[at : at + BLOCK]) for at in range(0, 3 * BLOCK, BLOCK)
    ]
    assert all(90 < half < 166 for half in halves)
    assert (
        len({tuple(record[3] for record in bench.records[at : at + BLOCK]) for at in range(0, 3 * BLOCK, BLOCK)}) == 3
    )
