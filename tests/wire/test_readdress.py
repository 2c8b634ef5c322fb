"""Other addresses in finished frames: what tells the difference is whoever checks the checksums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire.arp import Arp
from swarmrig.wire.decode import decode
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol, checksum, ip_to_bytes
from swarmrig.wire.readdress import address_bytes, readdressed, with_checksums
from swarmrig.wire.udp import Udp

A, B, C, D = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c", "02:00:00:00:00:0d"
addresses = st.ip_addresses(v=4).map(str)


def table(**pairs):
    return {address_bytes(old): address_bytes(new) for old, new in pairs.items()}


SWAP = {address_bytes(A): address_bytes(C), address_bytes("192.0.2.1"): address_bytes("10.0.1.11")}


def test_addresses_are_macs_or_ipv4():
    assert len(address_bytes(A)) == 6
    assert address_bytes("1.2.3.4") == b"\1\2\3\4"
    for wrong in ("s1", "", "1.2.3", "02:00", "::1"):
        with pytest.raises(ValueError):
            address_bytes(wrong)


@given(addresses, addresses, addresses, st.binary(max_size=60))
def test_datagrams_have_checksums_that_fit(src, dst, new, payload):
    packet = Ipv4(src, dst, Protocol.UDP, Udp(1, 2, payload).pack(src, dst)).pack()
    frame = Ethernet(A, B, EtherType.IPV4, packet).pack()
    made = readdressed(frame, {ip_to_bytes(src): ip_to_bytes(new), address_bytes(B): address_bytes(D)})
    read = decode(made)
    assert (read.eth.dst, read.eth.src) == (A, D)
    wanted = Ipv4(new, new if dst == src else dst, Protocol.UDP, b"").dst, new
    assert (read.ip.dst, read.ip.src) == wanted
    assert checksum(made[14:34]) == 0
    assert Udp.parse(read.ip.payload, read.ip.src, read.ip.dst).payload == payload


def test_what_is_in_arp_and_behind_tags():
    message = Arp(1, A, "192.0.2.1", "00:00:00:00:00:00", "192.0.2.2")
    for tag in (b"", bytes.fromhex("81000005"), bytes.fromhex("88a8000181000005")):
        plain = Ethernet("ff:ff:ff:ff:ff:ff", A, EtherType.ARP, message.pack()).pack()
        made = readdressed(plain[:12] + tag + plain[12:], SWAP)
        assert made[6:12] == address_bytes(C)
        assert made[12 : 12 + len(tag)] == tag
        found = Arp.parse(made[14 + len(tag) :])
        assert (found.sender_mac, found.sender_ip, found.target_ip) == (C, "10.0.1.11", "192.0.2.2")


def packet_of(protocol, inner, offset=0):
    head = bytearray(Ipv4("192.0.2.1", "192.0.2.2", protocol, inner).pack())
    head[6:8] = offset.to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = checksum(bytes(head[:20])).to_bytes(2, "big")
    return Ethernet(B, A, EtherType.IPV4, bytes(head)).pack()


def test_no_checksum_stays_none_and_fragments_have_none():
    without = Udp(1, 2, b"x").pack("192.0.2.1", "192.0.2.2")[:6] + b"\0\0x"
    assert readdressed(packet_of(Protocol.UDP, without), SWAP)[40:42] == b"\0\0"
    later = readdressed(packet_of(Protocol.UDP, b"\1" * 16, offset=100), SWAP)
    assert later[34:] == b"\1" * 16
    assert checksum(later[14:34]) == 0
    assert readdressed(packet_of(Protocol.ICMP, b"\1" * 20), SWAP)[34:] == b"\1" * 20


def test_a_sum_that_was_wrong_is_as_wrong_afterwards():
    frame = bytearray(packet_of(Protocol.TCP, bytes(16) + b"\x12\x34" + bytes(2)))
    there = readdressed(bytes(frame), SWAP)
    assert there != bytes(frame)
    assert readdressed(there, {new: old for old, new in SWAP.items()}) == bytes(frame)


@given(addresses, addresses, st.binary(max_size=60), st.binary(min_size=4, max_size=4))
def test_checksums_are_finished(src, dst, payload, wrong):
    frame = Ethernet(
        A, B, EtherType.IPV4, Ipv4(src, dst, Protocol.UDP, Udp(1, 2, payload).pack(src, dst)).pack()
    ).pack()
    damaged = bytearray(frame + b"\0\0\0")
    damaged[24:26], damaged[40:42] = wrong[:2], wrong[2:]
    assert with_checksums(bytes(damaged)) == frame + b"\0\0\0"


def test_what_has_no_checksum_to_be_finished_stays():
    for frame in (
        packet_of(Protocol.UDP, b"\1" * 16, offset=100),
        packet_of(Protocol.ICMP, b"\1" * 20),
        b"",
        b"x" * 14,
    ):
        assert with_checksums(frame) == frame
    short = packet_of(Protocol.UDP, bytes(16))
    assert with_checksums(short[:-4]) == short[:-4]
    tcp = with_checksums(packet_of(Protocol.TCP, bytes(20)))
    assert checksum(tcp[26:34] + bytes((0, 6, 0, 20)) + tcp[34:]) == 0


@given(st.binary(max_size=80))
def test_anything_keeps_its_length(data):
    assert len(readdressed(data, SWAP)) == len(data)
    assert readdressed(data, {}) == data
    assert len(with_checksums(data)) == len(data)
