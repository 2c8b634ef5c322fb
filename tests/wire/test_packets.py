"""Ethernet, ARP, IPv4, UDP and ICMP: round trips, checksums against the RFC's loop, reasons."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire import arp, ethernet, ipv4
from swarmrig.wire.arp import Arp
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4, checksum, decrement_ttl
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.udp import Udp, ports

macs = st.binary(min_size=6, max_size=6).map(ethernet.mac_to_text)
ips = st.binary(min_size=4, max_size=4).map(ipv4.ip_to_text)
u8 = st.integers(0, 255)
u16 = st.integers(0, 65535)
options = st.integers(0, 10).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words))


def loop_checksum(data: bytes) -> int:
    """RFC 1071, as its section 4.1 writes it."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=200))
def test_the_checksum_is_that_of_the_rfc(data: bytes) -> None:
    assert checksum(data) == loop_checksum(data)


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\xff\xff", b"\xff\xff\0\0", b"\0\1\xff\xfe", b"\xff" * 40])
def test_the_checksum_of_sums_that_wrap_to_zero(data: bytes) -> None:
    assert checksum(data) == loop_checksum(data)


@given(st.builds(Ethernet, macs, macs, u16, st.binary(max_size=80)))
def test_ethernet_round_trips(frame: Ethernet) -> None:
    assert Ethernet.parse(frame.pack()) == frame


@given(st.builds(Arp, u16, macs, ips, macs, ips), st.binary(max_size=18))
def test_arp_round_trips_with_padding(message: Arp, padding: bytes) -> None:
    assert Arp.parse(message.pack() + padding) == message


@given(st.builds(Ipv4, ips, ips, u8, st.binary(max_size=80), u8, u16, u8, u16, options), st.binary(max_size=18))
def test_ipv4_round_trips_with_padding(packet: Ipv4, padding: bytes) -> None:
    assert Ipv4.parse(packet.pack() + padding) == packet


@given(st.builds(Udp, u16, u16, st.binary(max_size=80)), ips, ips)
def test_udp_round_trips(datagram: Udp, src: str, dst: str) -> None:
    assert Udp.parse(datagram.pack(src, dst), src, dst) == datagram
    assert datagram.pack(src, dst)[6:8] != b"\0\0", "zero would mean: no checksum"


@given(st.builds(Icmp, u8, u8, u16, u16, st.binary(max_size=80)))
def test_icmp_round_trips(message: Icmp) -> None:
    assert Icmp.parse(message.pack()) == message


@given(st.builds(Ipv4, ips, ips, u8, st.binary(max_size=8), st.integers(1, 255), u16, u8, u16))
def test_a_lower_ttl_is_what_packing_it_would_give(packet: Ipv4) -> None:
    lower = decrement_ttl(packet.pack())
    assert Ipv4.parse(lower).ttl == packet.ttl - 1
    assert checksum(lower[:20]) == 0


def test_a_ttl_of_zero_cannot_be_lowered() -> None:
    with pytest.raises(ValueError, match="zero"):
        decrement_ttl(Ipv4("10.0.0.1", "10.0.0.2", 17, b"", ttl=0).pack())


PACKET = Ipv4("10.0.0.1", "10.0.0.2", 17, b"payload").pack()
DATAGRAM = Udp(1, 2, b"payload").pack("10.0.0.1", "10.0.0.2")
ARP = arp.request_frame("52:54:00:00:00:01", "10.0.0.1", "10.0.0.2")[14:]


def parse_udp(segment: bytes) -> Udp:
    return Udp.parse(segment, "10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("parse", "data", "reason"),
    [
        (Ethernet.parse, bytes(13), Malformed.ETH_SHORT),
        (Arp.parse, ARP[:27], Malformed.ARP_SHORT),
        (Arp.parse, b"\0\2" + ARP[2:], Malformed.ARP_FORMAT),
        (Ipv4.parse, PACKET[:19], Malformed.IP_SHORT),
        (Ipv4.parse, b"\x65" + PACKET[1:], Malformed.IP_VERSION),
        (Ipv4.parse, b"\x44" + PACKET[1:], Malformed.IP_HEADER_LENGTH),
        (Ipv4.parse, b"\x4f" + PACKET[1:], Malformed.IP_HEADER_LENGTH),
        (Ipv4.parse, PACKET[:-1], Malformed.IP_TOTAL_LENGTH),
        (Ipv4.parse, PACKET[:2] + b"\0\x13" + PACKET[4:], Malformed.IP_TOTAL_LENGTH),
        (Ipv4.parse, PACKET[:8] + b"\x01" + PACKET[9:], Malformed.IP_CHECKSUM),
        (parse_udp, DATAGRAM[:7], Malformed.UDP_SHORT),
        (parse_udp, DATAGRAM[:-1], Malformed.UDP_LENGTH),
        (parse_udp, DATAGRAM[:4] + b"\0\7" + DATAGRAM[6:], Malformed.UDP_LENGTH),
        (parse_udp, DATAGRAM[:-1] + b"x", Malformed.UDP_CHECKSUM),
        (Icmp.parse, bytes(7), Malformed.ICMP_SHORT),
        (Icmp.parse, Icmp(8).pack() + b"x", Malformed.ICMP_CHECKSUM),
    ],
)
def test_each_deviation_of_a_packet_has_its_reason(
    parse: Callable[[bytes], object], data: bytes, reason: Malformed
) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(data)
    assert caught.value.reason is reason


def test_a_datagram_without_checksum_is_accepted() -> None:
    assert parse_udp(DATAGRAM[:6] + b"\0\0" + DATAGRAM[8:]).payload == b"payload"


def test_ports_need_no_more_than_the_header() -> None:
    assert ports(DATAGRAM[:8]) == (1, 2)
    with pytest.raises(MalformedError):
        ports(DATAGRAM[:7])


def test_an_echo_reply_carries_what_was_asked() -> None:
    assert Icmp(8, 0, 7, 9, b"x").reply() == Icmp(0, 0, 7, 9, b"x")


def test_arp_frames_ask_everybody_and_answer_one() -> None:
    question = Ethernet.parse(arp.request_frame("52:54:00:00:00:01", "10.0.0.1", "10.0.0.2"))
    assert question.dst == ethernet.BROADCAST
    answer = Ethernet.parse(arp.reply_frame("52:54:00:00:00:02", Arp.parse(question.payload)))
    assert answer.dst == "52:54:00:00:00:01"
    assert Arp.parse(answer.payload) == Arp(2, "52:54:00:00:00:02", "10.0.0.2", "52:54:00:00:00:01", "10.0.0.1")


@pytest.mark.parametrize(
    "text", ["", "52:54:00", "52:54:00:12:34:5g", "5:54:00:12:34:567", "+1:54:00:12:34:56", "52 54"]
)
def test_what_is_no_mac_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected a MAC"):
        ethernet.mac_to_bytes(text)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "10.0.0.1.2", "localhost", "10.0.0.1\0", "0x0a000001"])
def test_what_is_no_ipv4_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected an IPv4"):
        ipv4.ip_to_bytes(text)


def test_addresses_have_their_kinds() -> None:
    assert ethernet.mac_to_bytes("52-54-00-12-34-AB") == bytes.fromhex("5254001234ab")
    assert ethernet.is_group_mac("01:00:5e:00:00:01")
    assert not ethernet.is_group_mac("52:54:00:00:00:01")
    assert ipv4.is_multicast("239.83.87.1")
    assert not ipv4.is_multicast("10.0.0.1")
    assert ipv4.multicast_mac("239.211.87.1") == "01:00:5e:53:57:01"
    with pytest.raises(ValueError, match="6 bytes"):
        ethernet.mac_to_text(b"abc")


def test_options_come_in_words() -> None:
    with pytest.raises(ValueError, match="options"):
        Ipv4("10.0.0.1", "10.0.0.2", 17, b"", options=b"abc").pack()


def test_fragments_are_recognised_first_and_later_ones() -> None:
    assert Ipv4("10.0.0.1", "10.0.0.2", 17, b"", flags=0x2000).fragment
    assert Ipv4("10.0.0.1", "10.0.0.2", 17, b"", flags=0x0001).fragment
    assert not Ipv4("10.0.0.1", "10.0.0.2", 17, b"", flags=0x4000).fragment
