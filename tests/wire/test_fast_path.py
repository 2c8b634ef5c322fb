"""The fast path of receivers says the same as the parsers, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol, ip_to_bytes
from swarmrig.wire.malformed import MalformedError
from swarmrig.wire.udp import Udp, plain_datagram

SRC, DST = "10.0.1.10", "10.0.0.1"


def frame_with(payload, *, padding=b"", kind=EtherType.IPV4, **ip):
    segment = Udp(1000, 5005, payload).pack(SRC, DST)
    packet = Ipv4(SRC, DST, ip.pop("proto", Protocol.UDP), segment, **ip).pack()
    return Ethernet("52:54:00:00:00:01", "52:54:00:00:00:02", kind, packet + padding).pack()


def by_parsers(frame):
    try:
        ethernet = Ethernet.parse(frame)
        if ethernet.type != EtherType.IPV4:
            return None
        ip = Ipv4.parse(ethernet.payload)
        if ip.proto != Protocol.UDP or ip.fragment:
            return None
        udp = Udp.parse(ip.payload, ip.src, ip.dst)
    except MalformedError:
        return None
    return ip_to_bytes(ip.src), udp.sport, ip_to_bytes(ip.dst), udp.dport, udp.payload


@given(payload=st.binary(max_size=80), padding=st.binary(max_size=20))
def test_a_good_datagram_is_taken_whole(payload, padding):
    frame = frame_with(payload, padding=padding)

    assert plain_datagram(frame) == by_parsers(frame)
    assert plain_datagram(frame).payload == payload


@given(payload=st.binary(max_size=40), changes=st.lists(st.tuples(st.integers(0, 81), st.integers(1, 255)), min_size=1))
def test_damaged_frames_are_never_taken_otherwise_than_by_the_parsers(payload, changes):
    frame = bytearray(frame_with(payload))
    for at, mask in changes:
        frame[at % len(frame)] ^= mask

    found = plain_datagram(bytes(frame))

    assert found is None or found == by_parsers(bytes(frame))


@given(frame=st.binary(max_size=120))
def test_any_bytes(frame):
    assert plain_datagram(frame) in (None, by_parsers(frame))


@pytest.mark.parametrize(
    "frame",
    [
        frame_with(b"x", options=b"\1\1\1\1"),
        frame_with(b"x", flags=0x2000),
        frame_with(b"x", proto=Protocol.ICMP),
        frame_with(b"x", kind=EtherType.VLAN),
        frame_with(b"x")[:-1],
    ],
    ids=["options", "fragment", "other protocol", "VLAN", "cut"],
)
def test_what_is_not_plain_is_left_to_the_parsers(frame):
    assert plain_datagram(frame) is None


def test_a_datagram_without_checksum_is_taken():
    frame = bytearray(frame_with(b"payload"))
    frame[40:42] = b"\0\0"

    assert plain_datagram(bytes(frame)).payload == b"payload"
