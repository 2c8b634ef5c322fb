"""RTP and RTCP, in our words and in those of tshark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.net.pcapng import CaptureWriter
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.rtp import ReceiverReport, Rtp
from swarmrig.wire.udp import Udp

PACKET = struct.pack(">BBHII", 0x80, 0x80 | 96, 0xFFFE, 90_000, 0xC0FFEE) + b"payload"
REPORT = struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, 0xC0FFEE, 0x40000003, 0x1FFFE, 12, 0, 0)


def test_a_packet():
    assert Rtp.parse(PACKET) == Rtp(96, True, 0xFFFE, 90_000, 0xC0FFEE, b"payload")


def test_sources_extension_and_padding_are_left_out():
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 96, 1, 2, 3)
    packet = head + bytes(8) + struct.pack(">HH", 0xBEDE, 1) + bytes(4) + b"data" + b"\0\0\3"
    assert Rtp.parse(packet).payload == b"data"


def test_a_report():
    report = ReceiverReport.parse(REPORT)
    assert (report.ssrc, report.fraction_lost, report.lost, report.highest) == (0xC0FFEE, 0x40, 3, 0x1FFFE)
    assert (report.seq, report.jitter) == (0xFFFE, 12)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Malformed.RTP_SHORT),
        (PACKET[:11], Malformed.RTP_SHORT),
        (b"\x40" + PACKET[1:], Malformed.RTP_VERSION),
        (REPORT, Malformed.RTP_VERSION),
        (b"\x8f" + PACKET[1:], Malformed.RTP_LENGTH),
        (b"\x90" + PACKET[1:12], Malformed.RTP_LENGTH),
        (b"\xa0" + PACKET[1:] + b"\xff", Malformed.RTP_LENGTH),
    ],
)
def test_what_is_no_packet(data, reason):
    with pytest.raises(MalformedError) as caught:
        Rtp.parse(data)
    assert caught.value.reason is reason


@pytest.mark.parametrize("data", [b"", REPORT[:31], PACKET + bytes(32), b"\x80" + REPORT[1:]])
def test_what_is_no_report(data):
    with pytest.raises(MalformedError):
        ReceiverReport.parse(data)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=64))
def test_any_bytes_are_parsed_or_refused(data):
    for kind in (Rtp, ReceiverReport):
        try:
            kind.parse(data)
        except MalformedError as error:
            assert error.reason


def test_tshark_says_the_same(tmp_path: Path):
    if shutil.which("tshark") is None:
        pytest.skip("no tshark")
    path = tmp_path / "rtp.pcapng"
    with CaptureWriter(path, ["a", "b"]) as capture:
        for t_ns, data in ((1, PACKET), (2, REPORT)):
            udp = Udp(6000, 6000, data).pack("10.0.0.1", "10.0.0.2")
            ip = Ipv4("10.0.0.1", "10.0.0.2", Protocol.UDP, udp).pack()
            frame = Ethernet("52:54:00:00:00:02", "52:54:00:00:00:01", EtherType.IPV4, ip).pack()
            capture.record((t_ns, 0, frame, None))
    assert fields_of(path, "rtp", "rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.marker")[0] == [
        "65534", "90000", "0x00c0ffee", "1",
    ]  # fmt: skip
    names = ("rtcp.ssrc.ext_high", "rtcp.ssrc.high_seq", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr")
    assert fields_of(path, "rtcp", *names)[1] == ["131070", "65534", "64", "3"]


def fields_of(path: Path, protocol: str, *names: str) -> list[list[str]]:
    """Fields as tshark reads them, a list for each frame."""
    command = ["tshark", "-r", path, "-d", f"udp.port==6000,{protocol}", "-T", "fields"]
    command += [f"-e{name}" for name in names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]
