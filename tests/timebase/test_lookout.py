"""What is seen, counted and told, on an engine without guests."""

import pytest

from swarmrig.model.network import DevicePlan, Fate, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.model.scenario import REACTION_NS, ConsoleSeen, FramesSeen
from swarmrig.net.engine import Engine
from swarmrig.timebase.lookout import Lookout, condition_details, condition_from

A, B = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
FRAME = B + A + b"\x88\xb5" + bytes(50)
OTHER = B + A + b"\x88\xb6" + bytes(50)
MATCHING = "eth.type == 0x88b5"


@pytest.fixture
def engine():
    one = Impairment(latency_ns=1000)
    devices = (DevicePlan("a", "02:00:00:00:00:01", "a--sw"), DevicePlan("b", "02:00:00:00:00:02", "sw--b"))
    links = (LinkPlan("a--sw", "a", "sw", one, one), LinkPlan("sw--b", "sw", "b", one, one))
    return Engine(NetworkPlan(1, devices, links, (SwitchPlan("sw"),)), captures={"a--sw": captured.append})


captured: list[tuple] = []


@pytest.fixture
def seen():
    captured.clear()
    return []


@pytest.fixture
def lookout(engine, seen):
    return Lookout(engine, lambda token, t_ns: seen.append((token, t_ns)))


def test_nobody_waits(lookout):
    assert not lookout.busy
    lookout.line("a", 5, b"anything\n")


def test_the_nth_line_that_matches(lookout, seen):
    lookout.watch(3, ConsoleSeen("a", r"fall \d", 2), 0)
    assert lookout.busy
    for t_ns, device, raw in (
        (10, "a", b"fall 1\r\n"),
        (20, "b", b"fall 2\n"),
        (30, "a", b"no fall\n"),
        (40, "a", b"\x1b[31mfa\x1b[0mll 3\n"),
        (50, "a", b"fall 4\n"),
    ):
        lookout.line(device, t_ns, raw)
    assert seen == [(3, 40 + REACTION_NS)]
    assert not lookout.busy


def test_a_delay_counts_when_it_is_longer_than_the_reaction(lookout, seen):
    lookout.watch(0, ConsoleSeen("a", "x"), REACTION_NS - 1)
    lookout.watch(1, ConsoleSeen("a", "x"), REACTION_NS + 1)
    lookout.line("a", 7, b"x")
    assert seen == [(0, 7 + REACTION_NS), (1, 7 + REACTION_NS + 1)]


def test_a_frame_counts_once_at_the_link_it_enters(lookout, engine, seen):
    lookout.watch(0, FramesSeen("a--sw", MATCHING, 2), 0)
    lookout.watch(1, FramesSeen("sw--b", MATCHING), 0)
    for t_ns, frame in ((100, FRAME), (200, OTHER), (300, FRAME)):
        engine.send(t_ns, "a", frame)
    engine.advance(5000)
    assert sorted(seen) == [(0, 300 + REACTION_NS), (1, 1100 + REACTION_NS)]
    assert [entry[0] for entry in captured] == [100, 200, 300], "captures go on"


def test_a_lost_frame_counts_and_an_overrun_does_not(lookout, engine, seen):
    engine.set_link(0, "a--sw", {"up": False})
    lookout.watch(0, FramesSeen("a--sw", MATCHING), 0)
    engine.ingress("a").overrun(5, FRAME)
    assert not seen
    engine.send(100, "a", FRAME)
    assert seen == [(0, 100 + REACTION_NS)]
    assert captured[-1][3] == Fate.DOWN.value


def test_who_waits_no_more_is_forgotten(lookout, engine, seen):
    lookout.watch(0, FramesSeen("a--sw", MATCHING), 0)
    lookout.watch(1, ConsoleSeen("a", "x"), 0)
    lookout.watch(2, FramesSeen("a--sw", MATCHING), 0)
    lookout.forget(0)
    lookout.forget(1)
    assert lookout.busy
    engine.send(100, "a", FRAME)
    lookout.line("a", 100, b"x")
    assert seen == [(2, 100 + REACTION_NS)]
    engine.send(200, "a", FRAME)
    assert [entry[0] for entry in captured] == [100, 200]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (ConsoleSeen("a", "("), "no regular expression"),
        (FramesSeen("none", MATCHING), "there is no link 'none'"),
        (FramesSeen("a--sw", "eth.type =="), "filter"),
    ],
)
def test_what_is_no_condition(lookout, condition, said):
    with pytest.raises(ValueError, match=said):
        lookout.watch(0, condition, 0)
    assert not lookout.busy


@pytest.mark.parametrize("condition", [ConsoleSeen("a", "x", 3), FramesSeen("a--sw", MATCHING, 2)])
def test_a_condition_travels_in_a_message(condition):
    assert condition_from(condition_details(condition)) == condition
