"""Where two sequences part, and which results are not the same."""

from hypothesis import given
from hypothesis import strategies as st

from swarmrig.replay.comparison import CONTEXT, Difference, first_difference, in_time_order
from swarmrig.replay.moments import FrameMoment, LineMoment, Moment
from swarmrig.replay.results import result_changes
from swarmrig.wire.csi import Csi
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp


def moments(*texts, start=0):
    return [Moment(start + 10 * at, "n1", ("console", text), f"events.jsonl:{at + 1}") for at, text in enumerate(texts)]


TEXTS = st.lists(st.sampled_from("abc"), max_size=12)


@given(left=TEXTS, right=TEXTS)
def test_the_first_difference_is_the_first(left, right):
    found = first_difference("events.jsonl", moments(*left), moments(*right))
    if left == right:
        assert found is None
        return
    at = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    assert found.t_ns == 10 * at
    assert list(found.before) == moments(*left)[max(0, at - CONTEXT) : at]
    assert list(found.left) == moments(*left)[at : at + CONTEXT]
    assert list(found.right) == moments(*right)[at : at + CONTEXT]


@given(same=TEXTS, left=TEXTS, right=TEXTS)
def test_what_comes_later_does_not_count(same, left, right):
    until_ns = 10 * len(same)
    ours, theirs = moments(*same, *left), moments(*same, *right)
    assert first_difference("x", ours, theirs, until_ns=until_ns) is None


def test_one_moment_earlier_is_a_difference_at_the_earlier_time():
    found = first_difference("x", moments("a", "b"), moments("a", "b", start=4))
    assert (found.t_ns, found.before) == (0, ())
    missing = first_difference("x", moments("a"), [])
    assert (missing.t_ns, missing.right, missing.source) == (0, (), "n1")


def test_places_are_no_difference():
    one, other = Moment(1, "n", ("a",), "f:1"), Moment(1, "n", ("a",), "f:2")
    assert first_difference("f", [one], [other]) is None


def test_at_one_time_frames_come_before_consoles_and_those_before_events():
    def at(t_ns, file):
        return Difference(file, t_ns, (), tuple(moments("a")), ())

    early, frame, line, event = at(1, "events.jsonl"), at(5, "net/a.pcapng"), at(5, "nodes/a/console.log"), at(5, "e")
    assert in_time_order([event, None, line, frame, early]) == (early, frame, line, event)


def csi_frame(seq, t_ns=5):
    message = Csi(node=1, antennas=1, subcarriers=2, frequency_mhz=2437, seq=seq, rssi=-40, noise=-90, samples=bytes(4))
    udp = Udp(5005, 5005, message.pack()).pack("10.0.1.11", "10.0.1.10")
    ip = Ipv4("10.0.1.11", "10.0.1.10", Protocol.UDP, udp).pack()
    frame = Ethernet("52:54:00:00:00:01", "52:54:00:00:00:02", 0x0800, ip).pack()
    return FrameMoment(t_ns, "s1", (frame, None, False), "net/l.pcapng#1")


def test_a_frame_is_told_by_the_fields_that_differ():
    found = first_difference("net/l.pcapng", [csi_frame(7)], [csi_frame(8)])
    assert "csi.seq 7 | 8" in found.detail
    assert "csi node 1 seq 7" in found.left[0].text
    assert "10.0.1.11 to 10.0.1.10" in found.left[0].text
    assert first_difference("net/l.pcapng", [csi_frame(7)], [csi_frame(8, t_ns=6)]).detail is None


def test_frames_without_fields_are_told_by_their_bytes():
    def raw(data):
        return FrameMoment(5, "s1", (b"\xff" * 12 + b"\x88\xb5" + data, None, False), "net/l.pcapng#1")

    found = first_difference("net/l.pcapng", [raw(b"abcd")], [raw(b"abXd")])
    assert found.detail == "from byte 16: 63 64 | 58 64"


def test_lines_that_look_the_same_are_told_with_what_does_not_show():
    def line(raw):
        return LineMoment(5, "s1", (raw,), "nodes/s1/console.log:1")

    found = first_difference("x", [line(b"ready\r")], [line(b"ready")])
    assert found.left[0].text == found.right[0].text == "ready"
    assert found.detail == r"(b'ready\r',) | (b'ready',)"
    assert first_difference("x", [line(b"ready")], [line(b"steady")]).detail is None


RESULTS = {
    "run": {"id": "1a", "seed": 1, "started_at": "now"},
    "verdict": "PASS",
    "checks": [{"label": "boot", "outcome": "PASS", "message": "in 1 s"}, {"label": "boot", "outcome": "PASS"}],
    "links": [{"name": "a--b", "drops": {}}],
}


def changed(**changes):
    return {**RESULTS, **changes}


def test_results_are_compared_by_their_names():
    other = changed(
        run={"id": "2b", "seed": 2, "started_at": "later"},
        checks=[RESULTS["checks"][0], {"label": "boot", "outcome": "FAIL"}],
        links=[{"name": "a--b", "drops": {"drop: loss": 3}}, {"name": "new"}],
    )
    found = {one.path: (one.left, one.right) for one in result_changes(RESULTS, other, outcomes_only=False)}
    assert found == {
        "run.seed": (1, 2),
        "checks[boot#2].outcome": ("PASS", "FAIL"),
        "links[a--b].drops.drop: loss": (None, 3),
        "links[new].name": (None, "new"),
    }
    assert result_changes(RESULTS, RESULTS, outcomes_only=False) == ()


def test_of_real_time_only_outcomes_are_compared():
    other = changed(verdict="FAIL", checks=[{"label": "boot", "outcome": "FAIL", "message": "in 2 s"}])
    paths = [one.path for one in result_changes(RESULTS, other, outcomes_only=True)]
    assert paths == ["verdict", "checks[boot].outcome", "checks[boot#2].outcome"]
