"""Captures that are played into a swarm: which frames, when, and with whose addresses."""

from __future__ import annotations

import sys
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from wired import MS, S, failures, node_of, wired

import swarmrig
from swarmrig.errors import ScenarioError
from swarmrig.model.verdict import Outcome
from swarmrig.net.pcapng import CaptureWriter, PcapngReader
from swarmrig.net.pcapng_blocks import EnhancedPacket, Interface, Section, encode
from swarmrig.nodes.python import Datagram, Model
from swarmrig.nodes.python.models.player import Player
from swarmrig.nodes.python.settings import make_settings
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

A, B = "02:aa:00:00:00:01", "02:aa:00:00:00:02"
TIMES = (0, 1, 250 * MS, 250 * MS, 3 * S)
"""Of the frames, after 5 s."""
REAL = Path(__file__).parents[1] / "data" / "fixtures" / "capture.pcapng"
TO_EAR = {A: "player", B: "ear", "192.0.2.1": "player", "192.0.2.2": "ear"}


def frame(number: int, src: str = A) -> bytes:
    udp = Udp(7000, 7001, b"frame %d" % number).pack("192.0.2.1", "192.0.2.2")
    return Ethernet(B, src, EtherType.IPV4, Ipv4("192.0.2.1", "192.0.2.2", Protocol.UDP, udp).pack()).pack()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    with CaptureWriter(tmp_path / "in.pcapng", ("a", "b")) as writer:
        for number, t_ns in enumerate(TIMES):
            writer.record((5 * S + t_ns, 0, frame(number), None))
            writer.record((5 * S + t_ns, 1, frame(number, src=B), None))
    return tmp_path / "in.pcapng"


class Ear(Model):
    def on_start(self) -> None:
        self.heard: list[Datagram] = []
        self.open_udp(7001, self.heard.append)


def play(file: Path, horizon_ns: int = 10 * S, **settings: Any) -> Any:
    """What the ear heard, after the latency of the way, and the player."""
    engine = wired({"player": Player, "ear": Ear}, settings={"player": {"file": str(file), **settings}})
    engine.advance(horizon_ns)
    assert not failures(engine)
    ear = node_of(engine, "ear")
    return [(each.t_ns - 10 * MS, each.payload) for each in ear.heard], node_of(engine, "player"), engine


def test_frames_come_as_far_apart_as_they_were(capture: Path) -> None:
    heard, player, _ = play(capture, interface="a", rewrite=TO_EAR)
    assert heard == [(t_ns, b"frame %d" % number) for number, t_ns in enumerate(TIMES)]
    assert player.metrics == {"frames": 5, "bytes": 5 * len(frame(0)), "skipped": 0, "finished": 1}


@pytest.mark.parametrize(
    ("speed", "times"), [(2.0, [0, 0, 125 * MS, 125 * MS, 1500 * MS]), (0.5, [0, 2, S // 2, S // 2, 6 * S])]
)
def test_faster_slower_and_later(capture: Path, speed: float, times: list[int]) -> None:
    heard, _, _ = play(capture, interface="a", rewrite=TO_EAR, speed=speed, start=S)
    assert [t_ns - S for t_ns, _ in heard] == times


def test_a_filter_and_what_is_left_to_come(capture: Path) -> None:
    heard, player, _ = play(capture, horizon_ns=S, filter=f"eth.src == {A}", rewrite=TO_EAR)
    assert len(heard) == 4
    assert player.metrics["finished"] == 0


def test_frames_of_others_stay_what_they_are(capture: Path) -> None:
    """Without other addresses nobody is meant; the frames are on the network all the same."""
    heard, player, engine = play(capture, interface="a")
    assert heard == []
    assert player.metrics["frames"] == 5
    assert node_of(engine, "ear").counters.not_for_us == 5


def test_a_switch_has_its_own_mind_about_both_sides_from_one_port(capture: Path) -> None:
    """It learns from the first answer that the other side is where the player is, and sends nothing there any more."""
    _, player, engine = play(capture)
    assert player.metrics["frames"] == 10
    assert node_of(engine, "ear").counters.not_for_us == 1


def test_addresses_of_the_checks_are_those_of_the_nodes(capture: Path) -> None:
    heard, _, engine = play(capture, interface="a", rewrite=TO_EAR)
    (first, *_) = node_of(engine, "ear").heard
    assert (first.src, first.dst) == (node_of(engine, "player").ip, node_of(engine, "ear").ip)
    literal, _, _ = play(capture, interface="a", rewrite=TO_EAR | {"192.0.2.1": "10.9.9.9"})
    assert literal == heard


def blocks(*packets: tuple[int, bytes, int]) -> bytes:
    parts = [encode(Section()), encode(Interface(1))]
    return b"".join([*parts, *(encode(EnhancedPacket(0, ticks, data, length)) for ticks, data, length in packets)])


def test_what_was_cut_is_skipped_and_time_that_goes_back_is_no_gap(tmp_path: Path) -> None:
    file = tmp_path / "cut.pcapng"
    whole = frame(1)
    size = len(whole)
    file.write_bytes(
        blocks((10, whole, size), (20, whole, 5000), (5, whole, size), (30, b"short", 5), (40, whole, size))
    )
    heard, player, _ = play(file, rewrite=TO_EAR)
    assert [t_ns for t_ns, _ in heard] == [0, 0, 30_000]
    assert player.metrics["skipped"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file": "none"}, "none: No such file"),
        ({"file": "text"}, "is no capture to be played"),
        ({"file": "empty"}, "has no whole frame"),
        ({"file": "cut"}, "has no whole frame"),
        ({"filter": "udp.dport == 9"}, "has no whole frame that matches 'udp.dport == 9'"),
        ({"filter": "udp.dport =="}, "at column"),
        ({"interface": "c"}, "has no interface 'c': there is a, b"),
        ({"speed": 0}, "speed: a number above 0"),
        ({"speed": float("nan")}, "speed: a number above 0"),
        ({"rewrite": {"s1": "s2"}}, "'s1' is neither a MAC nor an IPv4 address"),
        ({"rewrite": {A: "1.2.3.4"}}, "are not of one kind"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    capture: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    (tmp_path / "text").write_text("no capture at all, but a text")
    (tmp_path / "empty").write_bytes(blocks())
    (tmp_path / "cut").write_bytes(blocks((1, frame(1), 5000)))
    given = {"file": str(capture), **settings}
    given["file"] = str(tmp_path / given["file"])
    with pytest.raises(ValueError, match=message):
        Player.examine(make_settings(Player.Settings, given))


SCENARIO = """
swarmrig: 1
name: played
duration: 12s
time: virtual
network: {link: {latency: 2ms}}
defaults: {kind: python}
nodes:
  cloud: {model: cloud}
  player:
    model: player
    settings: {file: FILE, checksums: true, rewrite: {"02:00:00:00:00:0a": player, "02:00:00:00:00:0b": cloud}}
checks:
  - frames: {filter: "udp.dport in {319, 320}", count: {min: 79}}
  - metric: {name: nodes.player.model.finished, min: 1}
  - console: {node: player, matches: "frames played, 0 skipped"}
"""


def test_what_a_guest_captured_comes_with_its_timing_and_a_run_can_be_played_again(tmp_path: Path) -> None:
    """A fixture of real PTP and LLDP as an input; what the link carried has its gaps, and is the next input."""
    file = tmp_path / "played.swarmrig.yml"
    file.write_text(SCENARIO.replace("FILE", str(REAL)))
    first = swarmrig.run(file, output_dir=tmp_path / "runs")
    assert first.verdict is Outcome.PASS, first
    recorded = next(first.directory.glob("net/*player*.pcapng"))
    assert gaps(recorded, "player") == gaps(REAL, "vb")
    file.write_text(SCENARIO.replace("file: FILE", f"file: {recorded}, interface: player"))
    again = swarmrig.run(file, output_dir=tmp_path / "runs")
    assert again.verdict is Outcome.PASS
    assert gaps(next(again.directory.glob("net/*player*.pcapng")), "player") == gaps(REAL, "vb")


def test_a_node_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "played.swarmrig.yml"
    file.write_text(SCENARIO.replace("FILE", str(REAL)).replace('0b": cloud', '0b": clowd'))
    with pytest.raises(ScenarioError, match=r":10:3: .*rewrite.02:00:00:00:00:0b: no node is called 'clowd' .*'cloud'"):
        swarmrig.run(file, output_dir=tmp_path / "runs")


def gaps(file: Path, interface: str) -> list[int]:
    """Between frames; that a guest with two processors has some in another order is no gap."""
    reader = PcapngReader()
    packets = [each for each in reader.feed(file.read_bytes()) if reader.interfaces[each.interface] == interface]
    return [later - earlier for earlier, later in pairwise(accumulate((each.t_ns for each in packets), max))]
