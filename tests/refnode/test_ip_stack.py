"""ARP, IPv4, ICMP and UDP of the firmware, against frames of a foreign host."""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refnode_frames import (
    PEER_MAC,
    arp,
    arp_reply,
    arp_request,
    checksum,
    echo_frame,
    ethernet,
    icmp_echo,
    ipv4,
    udp,
    udp_frame,
)
from refnode_virtual import AGGREGATOR_MAC, Swarm, ip_of, mac_of

OWN, PEER = "10.0.1.11", "10.0.9.9"
MAC = mac_of(1)


@pytest.fixture
def node(swarm):
    """A node that does not send anything by itself for the first two seconds."""
    swarm.add("n", 1, target_ip="10.0.0.1")
    swarm.run(1000)
    swarm.sent.clear()
    return swarm


def frames(swarm: Swarm, kind: int) -> list[bytes]:
    return [frame for _, _, frame in swarm.sent if frame[12:14] == struct.pack(">H", kind)]


def counter(swarm: Swarm, name: str) -> int:
    line = next(line for line in swarm.type("n", "stats").split("\r\n") if f" {name}=" in line)
    return int(line.split(f" {name}=")[1].split()[0])


def test_answers_arp(node):
    node.inject("n", arp_request(PEER, OWN))
    (reply,) = frames(node, 0x0806)
    assert reply == PEER_MAC + MAC + b"\x08\x06" + arp(2, MAC, OWN, PEER_MAC, PEER)


def test_is_silent_to_arp_for_others(node):
    node.inject("n", arp_request(PEER, "10.0.1.12"))
    assert frames(node, 0x0806) == []


def test_answers_ping_with_the_same_bytes(node):
    node.inject("n", arp_request(PEER, OWN))
    for size in (0, 1, 3, 56, 1472):
        data = (bytes(range(256)) * 6)[:size]
        node.sent.clear()
        node.inject("n", echo_frame(MAC, PEER, OWN, data))
        (reply,) = frames(node, 0x0800)
        assert reply[:12][:12] == PEER_MAC + MAC
        assert checksum(reply[14:34]) == 0
        assert reply[26:34] == socket.inet_aton(OWN) + socket.inet_aton(PEER)
        assert reply[34 : 14 + struct.unpack_from(">H", reply, 16)[0]] == icmp_echo(7, 1, data, kind=0)


def test_a_reply_waits_for_arp_and_the_newest_wins(node):
    for sequence in (1, 2):
        node.inject("n", echo_frame(MAC, PEER, OWN, sequence=sequence))
    assert [frame[38:42] for frame in frames(node, 0x0806)] == [socket.inet_aton(PEER)]  # asked once
    assert frames(node, 0x0800) == []
    node.inject("n", arp_reply(MAC, PEER, OWN))
    (reply,) = frames(node, 0x0800)
    assert struct.unpack_from(">H", reply, 40)[0] == 2


def test_a_silent_neighbour_is_asked_three_times_then_given_up(node):
    node.inject("n", echo_frame(MAC, PEER, OWN))
    node.run_for(6)
    asked = [t for t, _, frame in node.sent if frame[12:14] == b"\x08\x06" and frame[38:42] == socket.inet_aton(PEER)]
    assert [t - asked[0] for t in asked] == [0, 1_000_000, 2_000_000]
    assert counter(node, "unresolved") == 1
    assert counter(node, "heap_free") == 262144  # nothing is kept of it


def test_a_neighbour_is_refreshed_by_unicast_without_an_interruption(swarm):
    swarm.add("n", 1, target_ip="10.0.0.1", tdm_nodes=1)
    swarm.run(60_000_000)
    questions = [(t, frame[:6]) for t, _, frame in swarm.sent if frame[12:14] == b"\x08\x06"]
    assert [target for _, target in questions] == [b"\xff" * 6, AGGREGATOR_MAC]
    assert 45_000_000 <= questions[1][0] < 45_100_000
    assert len(swarm.udp(0xC5110001)) == 58 * 20


def test_a_moved_neighbour_is_followed(node):
    moved = bytes.fromhex("0200000000aa")
    node.inject("n", arp_request(PEER, OWN))
    node.inject("n", arp_request(PEER, "10.0.0.77", sender_mac=moved))  # known, so even a question to others tells
    node.sent.clear()
    node.inject("n", echo_frame(MAC, PEER, OWN))
    assert frames(node, 0x0800)[0][:6] == moved


def test_a_hub_knows_all_256_nodes_at_once(swarm):
    swarm.add("n", 1, target_ip="10.0.0.1")
    swarm.run(1000)
    others = [number for number in range(256) if number != 1]
    for number in others:
        swarm.inject("n", arp_request(ip_of(number), OWN, sender_mac=mac_of(number)))
    swarm.sent.clear()
    for number in others:
        swarm.inject("n", echo_frame(MAC, ip_of(number), OWN))
    assert [frame[:6] for frame in frames(swarm, 0x0800)] == [mac_of(number) for number in others]


def test_more_neighbours_than_fit_are_asked_for_again(swarm):
    swarm.add("n", 1, target_ip="10.0.0.1")
    swarm.run(1000)
    for host in range(2000):
        sender = f"10.0.{4 + host // 250}.{host % 250}"
        swarm.inject("n", arp_request(sender, OWN))
        swarm.sent.clear()
        swarm.inject("n", echo_frame(MAC, sender, OWN))
        assert len(frames(swarm, 0x0800)) == 1
    swarm.inject("n", echo_frame(MAC, "10.0.4.0", OWN))
    assert len(frames(swarm, 0x0806)) == 1


def test_other_networks_go_through_the_gateway(swarm):
    gateway_mac = bytes.fromhex("020000000001")
    swarm.add("n", 1, ip="10.1.2.2", prefix=24, gw="10.1.2.1", target_ip="10.1.7.2")
    swarm.run(1000)
    assert [frame[38:42] for frame in frames(swarm, 0x0806)] == [bytes([10, 1, 2, 1])]  # resolved before it is needed
    swarm.inject("n", arp_reply(MAC, "10.1.2.1", "10.1.2.2", sender_mac=gateway_mac))
    swarm.run(3_000_000)
    sent = frames(swarm, 0x0800)
    assert sent
    assert {frame[:6] for frame in sent} == {gateway_mac}
    assert {frame[30:34] for frame in sent} == {bytes([10, 1, 7, 2])}


def test_without_a_gateway_there_is_no_way(swarm):
    swarm.add("n", 1, ip="10.1.2.2", prefix=24, target_ip="10.1.7.2")
    swarm.run(3_000_000)
    assert swarm.sent == []
    assert "unsent=" in swarm.type("n", "stats")
    assert "dropped" in swarm.type("n", "send 10.9.9.9 5 00")


def test_header_of_sent_datagrams(node):
    node.inject("n", arp_request(PEER, OWN))
    node.type("n", f"send {PEER} 700 0102030405")
    (frame,) = frames(node, 0x0800)
    packet = frame[14:]
    assert (packet[0], packet[1], packet[6:8], packet[8], packet[9]) == (0x45, 0, b"\x40\0", 64, 17)
    assert struct.unpack_from(">H", packet, 2)[0] == 20 + 8 + 5 == len(packet)
    assert packet[20:] == udp(OWN, PEER, 700, b"\1\2\3\4\5", source_port=5005)


def test_checksum_zero_is_sent_as_ffff(node):
    node.inject("n", arp_request(PEER, OWN))
    plain = udp(OWN, PEER, 700, b"\0\0", source_port=5005)
    wanted = struct.unpack_from(">H", plain, 6)[0]  # this as data makes the sum come out as zero
    node.type("n", f"send {PEER} 700 {wanted:04x}")
    assert frames(node, 0x0800)[0][40:42] == b"\xff\xff"


def damaged_packets():
    good = ipv4(PEER, OWN, 1, icmp_echo(7, 1, b"data"))
    datagram = ipv4(PEER, OWN, 17, udp(PEER, OWN, 5006, b"data"))
    for name, packet in {
        "version": bytes([0x65]) + good[1:],
        "options": bytes([0x46]) + good[1:],
        "header checksum": good[:10] + b"\0\0" + good[12:],
        "length beyond the frame": good[:2] + struct.pack(">H", 999) + good[4:],
        "length below a header": good[:2] + struct.pack(">H", 19) + good[4:],
        "first fragment": ipv4(PEER, OWN, 1, icmp_echo(7, 1, b"data"), flags=0x2000),
        "later fragment": ipv4(PEER, OWN, 1, icmp_echo(7, 1, b"data"), flags=0x0010),
        "ICMP checksum": good[:-1] + b"\xff",
        "UDP checksum": datagram[:-1] + b"\xff",
        "UDP length": datagram[:24] + struct.pack(">H", 100) + datagram[26:],
        "UDP header cut": ipv4(PEER, OWN, 17, b"\0\1\2\3"),
        "ICMP header cut": ipv4(PEER, OWN, 1, b"\x08\0\xf7\xff"),
        "nothing": b"",
    }.items():
        yield pytest.param(packet, id=name)


@pytest.mark.parametrize("packet", list(damaged_packets()))
def test_damaged_packets_are_counted_and_not_answered(node, packet):
    node.inject("n", arp_request(PEER, OWN))
    node.sent.clear()
    node.inject("n", (MAC + PEER_MAC + b"\x08\0" + packet))
    assert node.sent == []
    assert counter(node, "rx_malformed") == 1


@pytest.mark.parametrize(
    "frame",
    [
        echo_frame(mac_of(2), PEER, OWN),  # another MAC
        echo_frame(MAC, PEER, "10.0.1.12"),  # another address
        echo_frame(MAC, OWN, OWN),  # from ourselves
        ethernet(b"\xff" * 6, ipv4(PEER, "10.0.255.255", 1, icmp_echo(7, 1, b""))),  # ping of everybody
        ethernet(MAC, ipv4(PEER, OWN, 1, icmp_echo(7, 1, b"", kind=0))),  # an answer
        ethernet(MAC, ipv4(PEER, OWN, 6, b"\0" * 20)),  # TCP
        ethernet(MAC, b"\x60" + b"\0" * 60, kind=0x86DD),  # IPv6
        udp_frame(MAC, PEER, OWN, 9, b"to a port where nobody listens"),
    ],
)
def test_what_is_not_for_it_is_not_answered(node, frame):
    node.inject("n", arp_request(PEER, OWN))
    node.sent.clear()
    node.inject("n", frame)
    assert node.sent == []


@pytest.mark.parametrize(
    "packet",
    [
        arp(1, PEER_MAC, PEER, bytes(6), OWN)[:27],
        b"\0\2" + arp(1, PEER_MAC, PEER, bytes(6), OWN)[2:],
        arp(1, b"\xff" * 6, PEER, bytes(6), OWN),
    ],
)
def test_damaged_arp_is_not_answered(node, packet):
    node.inject("n", b"\xff" * 6 + PEER_MAC + b"\x08\x06" + packet)
    assert frames(node, 0x0806) == []
    assert counter(node, "rx_malformed") == 1


def test_a_probe_for_a_free_address_is_answered_but_not_remembered(node):
    node.inject("n", arp_request("0.0.0.0", OWN))
    assert len(frames(node, 0x0806)) == 1


@given(st.binary(max_size=120), st.sampled_from([0x0800, 0x0806]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(fuzzed_node, payload, kind):
    fuzzed_node.inject("n", MAC + PEER_MAC + struct.pack(">H", kind) + payload)
    fuzzed_node.sent.clear()
    fuzzed_node.inject("n", arp_request(PEER, OWN))
    assert len(frames(fuzzed_node, 0x0806)) == 1


@pytest.fixture(scope="module")
def fuzzed_node(host_library, tmp_path_factory):
    swarm = Swarm(host_library, tmp_path_factory.mktemp("fuzzed"))
    swarm.add("n", 1, target_ip="10.0.0.1")
    swarm.run(1000)
    return swarm
