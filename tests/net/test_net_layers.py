"""What is put over a link and taken away again, frames that nobody sent, and black holes: at exact times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import PERFECT, DevicePlan, Fate, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.engine import Engine
from swarmrig.net.evidence import fate_of
from swarmrig.net.link import MAX_FRAME, Record

MS = 1_000_000
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
LINK = Impairment(latency_ns=5 * MS)


def frame(dst: str, src: str, payload: bytes = b"payload") -> bytes:
    return bytes.fromhex((dst + src).replace(":", "")) + b"\x88\xb5" + payload


TO_B, TO_A = frame(B, A), frame(A, B)


class Net:
    """a on its access wire, the switch `sw`, b behind the link `sw--b`."""

    def __init__(self, impairment: Impairment = LINK) -> None:
        devices = (DevicePlan("a", A, "a"), DevicePlan("b", B, "sw--b"))
        links = (
            LinkPlan("a", "a", "sw", PERFECT, PERFECT, access=True),
            LinkPlan("sw--b", "sw", "b", impairment, impairment),
        )
        plan = NetworkPlan(5, devices, links, (SwitchPlan("sw"),))
        self.records: dict[str, list[Record]] = {"a": [], "sw--b": []}
        self.engine = Engine(plan, captures={name: each.append for name, each in self.records.items()})
        self.got: dict[str, list[tuple[int, bytes]]] = {"a": [], "b": []}
        for device in self.got:
            self.engine.attach(device, lambda t_ns, data, to=device: self.got[to].append((t_ns, data)))
        self.engine.send(0, "b", TO_A)  # the switch learns where b is
        self.engine.send(0, "a", TO_B)
        self.engine.advance(50 * MS)
        self.forget()

    def forget(self) -> None:
        for each in (*self.records.values(), *self.got.values()):
            each.clear()

    def send(self, count: int = 1, every: int = MS) -> Net:
        for _ in range(count):
            self.engine.send(self.engine.now_ns, "a", TO_B)
            self.engine.advance(self.engine.now_ns + every)
        return self

    def drain(self) -> Net:
        self.engine.advance(self.engine.now_ns + 10_000 * MS)
        return self

    @property
    def now(self) -> int:
        return self.engine.now_ns

    @property
    def comments(self) -> list[str | None]:
        return [comment for *_, comment in self.records["sw--b"]]

    def impairments(self) -> dict[str, Impairment]:
        wire = self.engine.wires["sw--b"]
        return {"forward": wire.forward.impairment, "backward": wire.backward.impairment}


@pytest.fixture
def net() -> Net:
    return Net()


def test_frames_on_their_way_keep_their_times(net: Net) -> None:
    start = net.now
    net.send()
    net.engine.set_link(net.now, "sw--b", {"latency_ns": 50 * MS}, layer="slow")
    net.send()
    net.engine.set_link(net.now, "sw--b", {}, layer="slow")
    net.send().drain()
    # The third is due at 7 ms, but frames keep their order.
    assert [t_ns - start for t_ns, _ in net.got["b"]] == [5 * MS, 51 * MS, 51 * MS]


def test_a_change_holds_from_its_own_instant_on(net: Net) -> None:
    net.engine.send(net.now, "a", TO_B)
    net.engine.set_link(net.now, "sw--b", {"up": False}, layer="cut")
    net.engine.send(net.now, "a", TO_B)
    net.drain()
    assert net.comments == [None, Fate.DOWN.value]
    assert len(net.got["b"]) == 1


layer_changes = st.fixed_dictionaries(
    {},
    optional={
        "latency_ns": st.integers(1, 9) | st.just(5 * MS),
        "loss": st.sampled_from([0.0, 0.5, 1.0]),
        "up": st.booleans(),
        "corrupt": st.sampled_from([0.0, 1.0]),
    },
)


@given(
    layers=st.dictionaries(st.sampled_from("pqrs"), layer_changes, max_size=4),
    order=st.randoms(use_true_random=False),
    direction=st.sampled_from([None, "forward", "backward"]),
)
@settings(max_examples=60, deadline=None)
def test_layers_come_and_go_in_any_order(layers: dict[str, dict[str, Any]], order: Any, direction: str | None) -> None:
    net = Net()
    before = net.impairments()
    for name, changes in layers.items():
        net.engine.set_link(net.now, "sw--b", changes, direction, layer=name)
    touched = [direction] if direction else ["forward", "backward"]
    for side, impairment in net.impairments().items():
        wanted = replace(LINK)
        for changes in layers.values() if side in touched else ():
            wanted = replace(wanted, **{**changes, "up": wanted.up and changes.get("up", True)})
        assert impairment == wanted
    going = sorted(layers)
    order.shuffle(going)
    for name in going:
        net.engine.set_link(net.now, "sw--b", {}, direction, layer=name)
    assert net.impairments() == before


def test_what_lies_below_is_changed_without_the_layers_noticing(net: Net) -> None:
    net.engine.set_link(net.now, "sw--b", {"loss": 1.0}, layer="x")
    net.engine.set_link(net.now, "sw--b", {"loss": 0.25, "latency_ns": 7 * MS})
    assert net.impairments()["forward"] == Impairment(latency_ns=7 * MS, loss=1.0)
    net.engine.set_link(net.now, "sw--b", {}, layer="x")
    assert net.impairments()["forward"] == Impairment(latency_ns=7 * MS, loss=0.25)


@pytest.mark.parametrize("count", [1, 3, 300])
def test_a_layer_for_a_number_of_frames(net: Net, count: int) -> None:
    net.engine.set_link(net.now, "sw--b", {"corrupt": 1.0}, "forward", layer="x", frames=count)
    net.send(count + 2).drain()
    fates = [fate_of(comment) for comment in net.comments]
    assert fates == [Fate.CORRUPTED] * count + [Fate.DELIVERED] * 2
    assert [data == TO_B for _, data in net.got["b"]] == [False] * count + [True] * 2
    assert net.impairments()["forward"] == LINK


def test_counted_layers_end_each_at_its_own_frame(net: Net) -> None:
    net.engine.set_link(net.now, "sw--b", {"duplicate": 1.0}, "forward", layer="x", frames=1)
    net.engine.set_link(net.now, "sw--b", {"loss": 1.0}, "forward", layer="y", frames=2)
    net.engine.set_link(net.now, "sw--b", {"corrupt": 1.0}, "forward", layer="z", frames=3)
    net.send(4)
    assert [fate_of(comment) for comment in net.comments] == [Fate.LOSS, Fate.LOSS, Fate.CORRUPTED, Fate.DELIVERED]


def test_a_counted_layer_can_be_taken_away_before_its_end(net: Net) -> None:
    net.engine.set_link(net.now, "sw--b", {"loss": 1.0}, layer="x", frames=5)
    net.send(2)
    net.engine.set_link(net.now, "sw--b", {}, layer="x")
    net.send(2)
    assert net.comments == [Fate.LOSS.value] * 2 + [None] * 2


def test_an_access_wire_is_as_quick_as_before_once_its_layer_is_gone(net: Net) -> None:
    net.engine.set_link(net.now, "a", {"loss": 1.0}, layer="x", frames=1)
    net.send(2).drain()
    assert [comment for *_, comment in net.records["a"]] == [Fate.LOSS.value, None]
    assert len(net.got["b"]) == 1


def test_a_black_hole_takes_what_matches(net: Net) -> None:
    net.engine.set_filter(net.now, "sw--b", f"eth.dst == {B}", layer="x")
    net.send(2)
    net.engine.send(net.now, "b", TO_A)
    net.engine.set_filter(net.now, "sw--b", None, layer="x")
    net.send().drain()
    assert net.comments == ["drop: blackhole", "drop: blackhole", None, None]
    assert (len(net.got["a"]), len(net.got["b"])) == (1, 1)
    assert net.engine.wires["sw--b"].counters()["drops"] == {"drop: blackhole": 2}
    assert Fate.BLACKHOLE.modelled_drop


def test_black_holes_of_two_owners_and_one_direction(net: Net) -> None:
    net.engine.set_filter(net.now, "sw--b", "eth", "backward", layer="x")
    net.engine.set_filter(net.now, "sw--b", "arp", "forward", layer="y")
    net.send()
    net.engine.set_filter(net.now, "sw--b", "eth", "forward", layer="x")
    net.engine.set_filter(net.now, "sw--b", None, layer="y")
    net.send()
    net.engine.set_filter(net.now, "sw--b", None, layer="x")
    net.send()
    assert net.comments == [None, "drop: blackhole", None]


def test_other_frames_meet_the_same_chances_as_without_the_black_hole() -> None:
    poor = replace(LINK, loss=0.3, duplicate=0.2, corrupt=0.2)
    plain, holed = Net(poor), Net(poor)
    holed.engine.set_filter(holed.now, "sw--b", "arp", layer="x")
    assert holed.send(400).comments == plain.send(400).comments


def test_injected_frames_enter_at_their_times_among_the_others(net: Net) -> None:
    start = net.now
    extra = frame(B, A, b"extra")
    first = net.engine.inject(start, "sw--b", "sw", [(start + 500_000, extra), (start + 2_500_000, extra)])
    net.send(4).drain()
    assert first == start + 500_000
    assert [(t_ns - start, data == extra, comment) for t_ns, _, data, comment in net.records["sw--b"]] == [
        (0, False, None), (500_000, True, "injected"), (MS, False, None), (2 * MS, False, None),
        (2_500_000, True, "injected"), (3 * MS, False, None),
    ]  # fmt: skip
    assert [t_ns - start for t_ns, data in net.got["b"] if data == extra] == [5_500_000, 7_500_000]


def test_injected_frames_suffer_what_others_do(net: Net) -> None:
    net.engine.set_link(net.now, "sw--b", {"up": False})
    net.engine.inject(net.now, "sw--b", "sw", [(net.now, TO_B)])
    net.drain()
    net.engine.set_link(net.now, "sw--b", {"up": True, "corrupt": 1.0, "duplicate": 1.0})
    net.engine.inject(net.now, "sw--b", "sw", [(net.now, TO_B)])
    net.drain()
    first, second = net.comments
    assert first == "drop: link down; injected"
    assert second is not None and second.startswith("corrupted: bit ") and second.endswith("; duplicated; injected")
    assert [fate_of(comment) for comment in net.comments] == [Fate.DOWN, Fate.CORRUPTED]
    counters = net.engine.wires["sw--b"].forward.counters()
    assert counters.frames + counters.duplicates == counters.delivered + sum(counters.drops.values())


def test_a_frame_injected_at_a_devices_end_travels_on(net: Net) -> None:
    net.engine.inject(net.now, "a", "a", [(net.now, TO_B)])
    net.drain()
    assert [comment for *_, comment in net.records["a"]] == ["injected"]
    assert net.comments == [None]  # the switch has passed it on: that is its doing
    assert len(net.got["b"]) == 1


def test_what_is_late_enters_at_once(net: Net) -> None:
    now = net.now
    assert net.engine.inject(now, "sw--b", "sw", [(now - 5, TO_B), (now + 5, TO_B)]) == now
    net.drain()
    assert [t_ns - now for t_ns, *_ in net.records["sw--b"]] == [0, 5]


def test_frames_that_have_yet_to_be_injected_are_not_under_way(net: Net) -> None:
    net.engine.inject(net.now, "sw--b", "sw", [(net.now + MS, TO_B)])
    assert net.engine.frames_under_way() == 0
    assert net.engine.next_ns() == net.now + MS
    net.engine.advance(net.now + MS)
    assert net.engine.frames_under_way() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"link": "nowhere"}, "there is no link 'nowhere'"),
        ({"direction": "up"}, "a direction is forward or backward"),
        ({"changes": {"lots": 1}}, "unknown impairment 'lots'"),
        ({"changes": {"loss": 2}}, "loss lies between 0 and 1"),
        ({"frames": 0}, "frames is a whole number from 1 on"),
        ({"frames": True}, "frames is a whole number from 1 on"),
        ({"frames": 2, "layer": None}, "need a layer"),
        ({"frames": 2, "changes": {"latency_ns": 1}}, "not latency_ns"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_changes_nothing(net: Net, change: dict[str, Any], message: str) -> None:
    given = {"link": "sw--b", "changes": {"loss": 0.5}, "layer": "x", **change}
    with pytest.raises(ValueError, match=message):
        net.engine.set_link(net.now, **given)
    assert net.impairments() == {"forward": LINK, "backward": LINK}


@pytest.mark.parametrize(
    ("link", "end", "frames", "message"),
    [
        ("nowhere", "sw", [(0, TO_B)], "there is no link"),
        ("sw--b", "a", [(0, TO_B)], "the ends of the link sw--b are sw and b, not 'a'"),
        ("sw--b", "b", [], "no frame to inject"),
        ("sw--b", "b", [(0, TO_B), (0, b"x" * 13)], "14 to 65535 bytes, not 13"),
        ("sw--b", "b", [(0, bytes(MAX_FRAME + 1))], "not 65536"),
    ],
)
def test_what_cannot_be_injected_is_refused(net: Net, link: str, end: str, frames: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net.engine.inject(net.now, link, end, frames)
    assert net.engine.next_ns() is None


def test_a_filter_that_is_none_is_refused(net: Net) -> None:
    with pytest.raises(ValueError, match=r"unknown field 'ipp\.src'"):
        net.engine.set_filter(net.now, "sw--b", "ipp.src == 10.0.0.1", layer="x")
    assert net.send().comments == [None]
