"""Latency from captures: the same packet at two places, a question and its answer, and what has no other half."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.suites.wire_latency import LONGEST_NS, Pairing, measure
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.filter import compile_filter
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

MS = 1_000_000
REPORTED = (("rtp.ssrc", "rtcp.ssrc"), ("rtp.seq", "rtcp.seq"))


def frame(payload: bytes, proto: int = Protocol.UDP) -> bytes:
    data = Udp(4000, 4001, payload).pack("10.0.0.1", "10.0.0.2") if proto == Protocol.UDP else payload
    ip = Ipv4("10.0.0.1", "10.0.0.2", proto, data).pack()
    return Ethernet("52:54:00:00:00:02", "52:54:00:00:00:01", EtherType.IPV4, ip).pack()


def rtp(seq: int, *, ssrc: int = 1, timestamp: int = 0) -> bytes:
    return frame(struct.pack(">BBHII", 0x80, 96, seq & 0xFFFF, timestamp, ssrc) + bytes(20))


def report(highest: int, ssrc: int = 1) -> bytes:
    return frame(struct.pack(">BBHIIIIIII", 0x81, 201, 7, 9, ssrc, 0, highest, 0, 0, 0))


@pytest.fixture
def capture(tmp_path):
    """capture(name, [(t_ns, frame[, comment])]) -> path"""

    def write(name, entries) -> Path:
        path = tmp_path / name
        with CaptureWriter(path, ["a", "b"]) as writer:
            for t_ns, data, *comment in entries:
                writer.record((t_ns, 0, data, comment[0] if comment else None))
        return path

    return write


def test_the_same_packet_at_two_places(capture):
    first = capture("a", [(n * 10 * MS, rtp(65_500 + n)) for n in range(100)])  # the numbers wrap round
    second = capture("b", [(n * 10 * MS + (n + 1) * 1000, rtp(65_500 + n)) for n in range(100) if n % 10 != 3])
    found = measure(first, second, Pairing())
    assert (len(found.latencies_ns), found.lost, found.extra) == (90, 10, 0)
    values = found.as_values()
    assert (values["min_us"], values["p50_us"], values["max_us"]) == (1.0, 50.0, 100.0)


def test_without_any_pair_there_are_no_percentiles(capture):
    first, second = capture("a", [(0, rtp(1))]), capture("b", [(5, rtp(2)), (6, rtp(1, ssrc=2)), (7, b"x" * 60)])
    assert measure(first, second, Pairing()).as_values() == {"samples": 0, "lost": 1, "extra": 2}


def test_duplicates_are_measured_once_and_drops_do_not_arrive(capture):
    first = capture("a", [(0, rtp(1)), (MS, rtp(2))])
    second = capture("b", [(3, rtp(1), "duplicated"), (5, rtp(1)), (2 * MS, rtp(2), "drop: loss")])
    found = measure(first, second, Pairing())
    assert (found.latencies_ns, found.lost, found.extra) == ([3], 1, 1)


def test_a_number_that_comes_again_is_another_packet(capture):
    """A lost packet must not be paired with one that has its number 65 536 packets later."""
    later = LONGEST_NS + MS
    first = capture("a", [(0, rtp(7)), (later, rtp(7))])
    found = measure(first, capture("b", [(later + 9, rtp(7))]), Pairing())
    assert (found.latencies_ns, found.lost) == ([9], 1)
    late = measure(capture("c", [(0, rtp(7))]), capture("d", [(later, rtp(7))]), Pairing())
    assert (late.latencies_ns, late.lost, late.extra) == ([], 1, 1)


def test_what_arrives_before_it_was_sent_is_no_pair(capture):
    found = measure(capture("a", [(10, rtp(1))]), capture("b", [(5, rtp(1))]), Pairing())
    assert (found.latencies_ns, found.lost, found.extra) == ([], 1, 1)


def test_a_packet_and_the_report_on_it(capture):
    entries = [
        (0, rtp(65_535)),
        (2 * MS, report(65_535)),
        (3 * MS, rtp(0)),
        (4 * MS, rtp(1)),
        (9 * MS, report(0x10001)),
    ]
    found = measure(capture("a", entries), None, Pairing(REPORTED))
    assert (found.latencies_ns, found.lost, found.extra) == ([2 * MS, 5 * MS], 1, 0)


def test_a_question_and_its_answer_by_filters(capture):
    def ping(kind: int, seq: int) -> bytes:
        return frame(Icmp(kind, 0, 5, seq).pack(), Protocol.ICMP)

    path = capture("a", [(0, ping(8, 1)), (MS, ping(0, 1)), (2 * MS, ping(8, 2)), (5 * MS, ping(0, 2))])
    same = (("icmp.id", "icmp.id"), ("icmp.seq", "icmp.seq"))
    pairing = Pairing(same, compile_filter("icmp.type == 8"), compile_filter("icmp.type == 0"))
    assert measure(path, None, pairing).latencies_ns == [MS, 3 * MS]


def test_a_checksum_that_the_card_would_have_filled_in_does_not_matter(capture):
    broken = bytearray(rtp(1))
    broken[40] ^= 0xFF  # of the UDP checksum
    assert measure(capture("a", [(0, bytes(broken))]), capture("b", [(4, rtp(1))]), Pairing()).latencies_ns == [4]


def test_captures_that_cannot_be_read(capture, tmp_path):
    good = capture("a", [(0, rtp(1))])
    (tmp_path / "text").write_text("no capture, and a long line of it\n" * 3)
    for path, said in ((tmp_path / "gone", "No such file"), (tmp_path, "directory"), (tmp_path / "text", "no capture")):
        with pytest.raises(HostError, match=said):
            measure(good, path, Pairing())
    with pytest.raises(SwarmrigError, match=r"unknown field 'rtp\.sq'"):
        Pairing((("rtp.sq", "rtp.seq"),))


def test_the_command(suite, capture):
    first, second = capture("a", [(0, rtp(1)), (1, rtp(2))]), capture("b", [(MS, rtp(1))])
    result = suite("latency", first, second)
    assert result.returncode == 0
    assert result.stdout.startswith("samples=1 lost=1 extra=0 min_us=1000.0 p50_us=1000.0")
    assert json.loads(suite("latency", first, second, "--json").stdout)["p99_us"] == 1000
    assert suite("latency", second, first).returncode == 2
    assert suite("latency", first, "--match", "rtp.ssrc=rtcp.ssrc").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "its own other half"),
        (["--match", "rtp.seq"], "its own other half"),
        (["b", "--match", "rtp.sq"], "did you mean 'rtp.seq'"),
        (["b", "--from", "ip.sr"], "did you mean 'ip.src'"),
        (["gone"], "cannot read gone"),
    ],
)
def test_wrong_usage_of_latency(suite, capture, arguments, said):
    result = suite("latency", capture("a", [(0, rtp(1))]), *arguments)
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr
