"""What captures tell: how much, how long, and which frames are shown."""

import pytest
from tests.report_page.by_hand import MS, NETWORK, S, datagram

from swarmrig.model.network import Fate
from swarmrig.reports.page.traffic import BINS, read_traffic
from swarmrig.reports.page.transits import summarised

HUB, SENSOR, SWITCH = 0, 1, 0
"""Ends: of the link `hub` the device is the first one, of `hub--s1` the switch is."""


def traffic_of(made, evidence=None, end_ns=10 * S):
    return read_traffic(made.path, NETWORK, end_ns, evidence or {})


def crossing(number, sent_ns, takes_ns, **addresses):
    """A frame on its own link, and on the hub's when it has arrived."""
    frame = datagram(number, **addresses)
    return (sent_ns, SENSOR, frame), (sent_ns + takes_ns, 1, frame)


def test_frames_are_counted_where_and_when_they_were_seen(made):
    pairs = [crossing(number, number * S, 5 * MS) for number in range(10)]
    made.capture("hub--s1", *(near for near, _ in pairs))
    made.capture("hub", *(far for _, far in pairs))
    traffic = traffic_of(made)
    steps = len(traffic.links["hub--s1"].delivered)
    assert steps <= BINS
    assert steps * traffic.step_ns >= 10 * S
    assert [step for step, count in enumerate(traffic.links["hub--s1"].delivered) if count] == [
        number * S // traffic.step_ns for number in range(10)
    ]
    assert sum(traffic.nodes["s1"].sent) == sum(traffic.nodes["hub"].received) == 10
    assert sum(traffic.nodes["hub"].sent) == sum(traffic.nodes["s1"].received) == 0


def test_lost_frames_say_whether_the_link_was_down(made):
    frames = [
        (0, SENSOR, datagram(0)),
        (1, SENSOR, datagram(1), Fate.LOSS),
        (2, SENSOR, datagram(2), Fate.DOWN),
        (3, SENSOR, datagram(3), Fate.BLACKHOLE),
        (4, SENSOR, datagram(4), Fate.CORRUPTED),
    ]
    made.capture("hub--s1", *frames)
    link = traffic_of(made).links["hub--s1"]
    assert (link.delivered[0], link.lost[0], link.down[0], link.total) == (2, 3, 2, 5)


def test_a_frame_that_its_receiver_did_not_take_is_lost_once(made):
    frame = datagram(0)
    made.capture("hub--s1", (0, SENSOR, frame), (5 * MS, SWITCH, frame, Fate.OVERRUN))
    link = traffic_of(made).links["hub--s1"]
    assert (sum(link.delivered), sum(link.lost), link.total) == (0, 1, 1)


def test_times_are_measured_where_a_frame_is_seen_again(made):
    pairs = [crossing(number, number * 100 * MS, (5 + number) * MS) for number in range(3)]
    made.capture("hub--s1", *(near for near, _ in pairs))
    made.capture("hub", *(far for _, far in pairs))
    transits = traffic_of(made).transits
    assert sorted(time for times in transits.links["hub--s1"].values() for time in times) == [5 * MS, 6 * MS, 7 * MS]
    assert sorted(time for times in transits.nodes["s1"].values() for time in times) == [5 * MS, 6 * MS, 7 * MS]


def test_a_frame_that_never_arrives_has_no_time(made):
    made.capture("hub--s1", (0, SENSOR, datagram(1), Fate.LOSS), (S, SENSOR, datagram(2)))
    made.capture("hub", (2 * S, 1, datagram(3)))
    transits = traffic_of(made).transits
    assert transits.links == transits.nodes == {}


def test_the_last_link_is_not_told_as_no_time(made):
    """What the hub sends is last seen when it enters the sensor's link, which is not when it arrives."""
    frame = datagram(1, source="10.0.0.1", target="10.0.0.2")
    made.capture("hub", (0, HUB, frame))
    made.capture("hub--s1", (0, SWITCH, frame))
    assert "hub" not in traffic_of(made).transits.nodes


def test_summaries_are_medians_and_what_most_take():
    assert summarised({3: [7]}) == {3: (7, 7)}
    assert summarised({2: list(range(101)), 1: [1, 3]}) == {1: (2, 3), 2: (50, 95)}


def test_evidence_and_odd_frames_are_always_among_those_shown(made):
    frames = [(number * MS, SENSOR, datagram(number)) for number in range(5000)]
    frames[2000] = (*frames[2000], Fate.LOSS)
    made.capture("hub--s1", *frames)
    link = traffic_of(made, {"hub--s1": {4001}}).links["hub--s1"]
    shown = [frame.number for frame in link.frames]
    assert {3998, 4001, 4004, 2001} <= set(shown)
    assert shown == sorted(set(shown))
    assert len(shown) < 2000
    assert link.total == 5000
    assert min(shown) < 100
    assert max(shown) > 4900


def test_a_capture_that_is_cut_short_counts_up_to_there(made):
    made.capture("hub--s1", *((number * MS, SENSOR, datagram(number)) for number in range(20)))
    path = made.path / "net/hub--s1.pcapng"
    path.write_bytes(path.read_bytes()[:-10])
    assert traffic_of(made).links["hub--s1"].total == 19


def test_a_capture_that_is_none_is_told(made):
    (made.path / "net/hub.pcapng").write_bytes(b"certainly no capture of anything")
    traffic = traffic_of(made)
    assert "damaged" in traffic.links["hub"].problem
    assert traffic.links["hub--s1"].problem == "there is no capture"


@pytest.mark.parametrize("end_ns", [1, 999, S, 59 * S, 3600 * S, 7 * 86400 * S])
def test_steps_are_round_and_few(made, end_ns):
    traffic = traffic_of(made, end_ns=end_ns)
    steps = len(traffic.links["hub"].delivered)
    assert 1 <= steps <= BINS
    assert str(traffic.step_ns).rstrip("0") in ("1", "2", "5")


def test_frames_after_the_end_are_in_no_plot(made):
    frames = [
        (10 * S, SENSOR, datagram(1)),
        (10 * S + 1, SENSOR, datagram(2)),
        (11 * S, SENSOR, datagram(3), Fate.LOSS),
    ]
    made.capture("hub--s1", *frames)
    link = traffic_of(made).links["hub--s1"]
    assert (link.delivered[-1], sum(link.lost), link.total) == (1, 0, 3)
