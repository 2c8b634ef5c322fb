"""The host: ARP, ping, UDP, timers, exact time; two hosts on a wire without a network in between."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.api.steppable import SteppableNode
from swarmrig.nodes.python.host import EPHEMERAL_PORT, MAX_DATAGRAM_BYTES, Datagram, Host
from swarmrig.nodes.python.neighbours import WAITING_PACKETS
from swarmrig.wire import arp
from swarmrig.wire.decode import Decoded, decode
from swarmrig.wire.ethernet import BROADCAST, Ethernet
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4
from swarmrig.wire.udp import Udp

MAC_A, MAC_B, MAC_C = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"
A, B, GATEWAY = "10.0.1.10", "10.0.1.11", "10.0.0.254"
S = 1_000_000_000


class Recorder(Host):
    """Keeps what arrives on port 7 and answers with its length."""

    def on_start(self) -> None:
        self.received: list[Datagram] = []
        self.socket = self.open_udp(7, self.on_datagram)
        self.log("ready")

    def on_datagram(self, datagram: Datagram) -> None:
        self.received.append(datagram)
        self.socket.send(datagram.src, datagram.sport, str(len(datagram.payload)).encode())


def host(**config: Any) -> Recorder:
    made = Recorder("a", {"mac": MAC_A, "ip": A, "prefix": 16, **config})
    assert made.advance(0).console == [(0, "ready")]
    return made


def from_b(ip_payload: bytes, *, dst: str = A, proto: int = 17, dst_mac: str = MAC_A, flags: int = 0) -> bytes:
    return Ethernet(dst_mac, MAC_B, 0x0800, Ipv4(B, dst, proto, ip_payload, flags=flags).pack()).pack()


def udp_from_b(payload: bytes, dport: int = 7, dst: str = A, dst_mac: str = MAC_A) -> bytes:
    return from_b(Udp(9000, dport, payload).pack(B, dst), dst=dst, dst_mac=dst_mac)


def exchange(node: Host, t_ns: int, *frames: bytes) -> list[Decoded]:
    for frame in frames:
        node.deliver(t_ns, frame)
    return [decode(frame) for _, frame in node.advance(t_ns).frames]


def introduce(node: Host) -> None:
    """Let the host learn B's address."""
    exchange(node, node.now_ns, arp.request_frame(MAC_B, B, node.ip))


def test_it_is_a_steppable_node() -> None:
    node: SteppableNode = host()
    assert node.resolution_ns == 1
    assert node.next_deadline_ns() is None


def test_arp_requests_for_us_are_answered_others_are_not() -> None:
    node = host()
    (answer,) = exchange(node, 5, arp.request_frame(MAC_B, B, A))
    assert answer.get("eth.dst") == MAC_B
    assert (answer.get("arp.op"), answer.get("arp.sender_mac"), answer.get("arp.sender_ip")) == (2, MAC_A, A)
    assert exchange(node, 6, arp.request_frame(MAC_B, B, "10.0.1.99")) == []


def test_ping_is_answered() -> None:
    node = host()
    introduce(node)
    (answer,) = exchange(node, 9, from_b(Icmp(8, 0, 3, 4, b"data").pack(), proto=1))
    assert (answer.get("icmp.type"), answer.get("icmp.id"), answer.get("icmp.seq")) == (0, 3, 4)
    assert (answer.get("ip.src"), answer.get("ip.dst")) == (A, B)
    assert answer.icmp is not None
    assert answer.icmp.payload == b"data"


def test_other_icmp_and_pings_to_everybody_are_not_answered() -> None:
    node = host()
    introduce(node)
    assert exchange(node, 9, from_b(Icmp(0).pack(), proto=1)) == []
    assert exchange(node, 9, from_b(Icmp(8).pack(), proto=1, dst="10.0.255.255", dst_mac=BROADCAST)) == []


def test_a_datagram_reaches_its_port_and_is_answered_at_the_same_instant() -> None:
    node = host()
    introduce(node)
    node.deliver(1234, udp_from_b(b"hello"))
    assert node.next_deadline_ns() == 1234
    result = node.advance(5000)
    assert node.received == [Datagram(1234, B, 9000, A, 7, b"hello")]
    ((t_ns, frame),) = result.frames
    assert t_ns == 1234
    assert decode(frame).get("udp.dport") == 9000


def test_the_first_packet_waits_for_arp_and_then_leaves() -> None:
    node = host()
    (question,) = exchange(node, 10, udp_from_b(b"hello"))
    assert (question.get("arp.target_ip"), question.get("eth.dst")) == (B, BROADCAST)
    (answer,) = exchange(node, 20, arp.reply_frame(MAC_B, arp.Arp(1, MAC_A, A, "00:00:00:00:00:00", B)))
    assert answer.get("udp.dport") == 9000
    assert node.next_deadline_ns() == 10 + S, "the retry timer fires once more and finds nothing to do"
    assert node.advance(3 * S).frames == []
    assert node.counters.unresolved == 0


def test_arp_is_asked_three_times_then_the_packets_are_counted_as_lost() -> None:
    node = host()
    node.send_udp(7, B, 9, b"one")
    node.send_udp(7, B, 9, b"two")
    times = [t_ns for t_ns, frame in node.advance(10 * S).frames if decode(frame).arp]
    assert times == [0, S, 2 * S]
    assert node.report()["unresolved"] == 2
    assert node.next_deadline_ns() is None
    node.send_udp(7, B, 9, b"three")
    assert len(node.advance(10 * S).frames) == 1, "a later packet asks anew"


def test_waiting_packets_are_bounded_and_the_newest_are_kept() -> None:
    node = host()
    for number in range(WAITING_PACKETS + 3):
        node.send_udp(7, B, 9, bytes([number]))
    node.advance(0)
    frames = exchange(node, 1, arp.request_frame(MAC_B, B, A))
    payloads = [frame.udp.payload[0] for frame in frames if frame.udp]
    assert payloads == list(range(3, WAITING_PACKETS + 3))
    assert node.counters.unresolved == 3


def test_other_networks_are_reached_through_the_gateway() -> None:
    node = host(gateway=GATEWAY)
    node.send_udp(7, "192.168.0.1", 9, b"far")
    (question,) = [decode(frame) for _, frame in node.advance(0).frames]
    assert question.get("arp.target_ip") == GATEWAY


def test_without_gateway_other_networks_are_out_of_reach() -> None:
    node = host(prefix=24)
    node.send_udp(7, "10.0.2.1", 9, b"far")
    assert node.advance(S).frames == []
    assert node.counters.no_route == 1


def test_groups_are_received_when_joined_and_sent_without_arp() -> None:
    node = host()
    group = udp_from_b(b"beacon", dst="239.83.87.1", dst_mac="01:00:5e:53:57:01")
    exchange(node, 1, group)
    assert node.received == []
    node.join("239.83.87.1")
    exchange(node, 2, group)
    assert [datagram.dst for datagram in node.received] == ["239.83.87.1"]
    node.send_udp(7, "239.83.87.1", 9, b"x", ttl=16)
    sent = [decode(frame) for _, frame in node.advance(2).frames]
    assert ("01:00:5e:53:57:01", 16) in [(frame.get("eth.dst"), frame.get("ip.ttl")) for frame in sent]
    with pytest.raises(ValueError, match="no multicast group"):
        node.join(B)


@pytest.mark.parametrize("address", ["10.0.255.255", "255.255.255.255"])
def test_broadcasts_are_sent_and_received(address: str) -> None:
    node = host()
    introduce(node)
    exchange(node, 1, udp_from_b(b"all", dst=address, dst_mac=BROADCAST))
    assert len(node.received) == 1
    node.send_udp(7, address, 9, b"x")
    (sent,) = [decode(frame) for _, frame in node.advance(1).frames]
    assert (sent.get("eth.dst"), sent.get("ip.dst")) == (BROADCAST, address)


def test_what_is_not_for_us_is_ignored_and_counted() -> None:
    node = host()
    assert exchange(node, 1, udp_from_b(b"x", dst_mac=MAC_C)) == []
    assert exchange(node, 1, udp_from_b(b"x", dst=B)) == []
    assert exchange(node, 1, Ethernet(BROADCAST, MAC_B, 0x86DD, bytes(40)).pack()) == []
    assert exchange(node, 1, udp_from_b(b"x", dport=8)) == []
    assert exchange(node, 1, from_b(Udp(9, 7, b"x").pack(B, A), flags=0x2000)) == []
    assert node.received == []
    assert (node.counters.not_for_us, node.counters.closed_port) == (3, 1)


def test_malformed_frames_are_counted_by_reason() -> None:
    node = host()
    broken = bytearray(udp_from_b(b"hello"))
    broken[-1] ^= 1
    exchange(node, 1, b"x", bytes(broken), udp_from_b(b"hello")[:-1])
    assert node.report()["malformed"] == {
        "eth: shorter than its header": 1,
        "udp: checksum": 1,
        "ip: total length contradicts the frame": 1,
    }


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_frames_are_survived(frames: list[bytes]) -> None:
    node = host()
    exchange(node, 1, *frames)
    exchange(node, 2, *(bytes.fromhex(MAC_A.replace(":", "")) + frame for frame in frames))
    introduce(node)
    assert len(exchange(node, 3, udp_from_b(b"still there"))) == 1


def test_timers_fire_in_order_at_their_times() -> None:
    node = host()
    fired: list[tuple[int, str]] = []

    def note(name: str) -> None:
        fired.append((node.now_ns, name))

    node.call_at(30, lambda: note("c"))
    node.call_at(10, lambda: note("a"))
    node.call_at(10, lambda: note("b"))
    cancelled = node.call_at(20, lambda: note("never"))
    node.cancel(cancelled)
    node.cancel(cancelled)
    assert node.next_deadline_ns() == 10
    node.advance(9)
    assert fired == []
    node.advance(30)
    assert fired == [(10, "a"), (10, "b"), (30, "c")]
    node.call_at(5, lambda: note("late"))
    assert node.next_deadline_ns() == 30, "the past is now"
    node.advance(30)
    assert fired[-1] == (30, "late")


def test_timers_come_before_frames_of_the_same_instant() -> None:
    node = host()
    order: list[str] = []
    node.open_udp(8, lambda datagram: order.append("frame"))
    node.call_at(50, lambda: order.append("timer"))
    exchange(node, 50, udp_from_b(b"x", dport=8))
    assert order == ["timer", "frame"]


def test_timers_set_by_timers_run_within_the_same_horizon() -> None:
    node = host()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(node.now_ns)
        node.call_after(10, tick)

    node.call_after(10, tick)
    node.advance(45)
    assert ticks == [10, 20, 30, 40]
    assert node.next_deadline_ns() == 50


def test_many_cancelled_timers_do_not_pile_up() -> None:
    node = host()
    for number in range(10_000):
        node.cancel(node.call_at(S + number, lambda: None))
    assert len(node._Host__alone.agenda.heap) < 200
    assert node.next_deadline_ns() is None


def test_how_the_driver_slices_time_changes_nothing() -> None:
    def run(horizons: list[int]) -> list[tuple[int, bytes]]:
        node = host()
        node.call_at(100, lambda: node.send_udp(7, B, 9, b"timer"))
        inputs = [(40, arp.request_frame(MAC_B, B, A)), (100, udp_from_b(b"x")), (170, udp_from_b(b"yy"))]
        frames = []
        for horizon in horizons:
            while inputs and inputs[0][0] <= horizon:
                node.deliver(*inputs.pop(0))
            frames += node.advance(horizon).frames
        return frames

    assert run([200]) == run(list(range(1, 201))) == run([99, 100, 170, 200])


def test_inputs_of_the_past_are_a_mistake_of_the_driver() -> None:
    node = host()
    node.advance(100)
    with pytest.raises(ValueError, match="too late"):
        node.deliver(99, b"")
    node.deliver(300, b"")
    with pytest.raises(ValueError, match="too late"):
        node.deliver(200, b"")


def test_ports_are_bound_once_and_free_ones_are_found() -> None:
    node = host()
    with pytest.raises(ValueError, match="7 is taken"):
        node.open_udp(7, print)
    with pytest.raises(ValueError, match="65536 is taken or out of range"):
        node.open_udp(65536, print)
    assert [node.open_udp(0, print).port for _ in range(2)] == [EPHEMERAL_PORT, EPHEMERAL_PORT + 1]


def test_a_datagram_has_to_fit_into_a_packet() -> None:
    node = host()
    introduce(node)
    node.send_udp(7, B, 9, bytes(MAX_DATAGRAM_BYTES))
    ((_, frame),) = node.advance(1).frames
    assert len(frame) == 1514
    with pytest.raises(ValueError, match="at most 1472 bytes, not 1473"):
        node.send_udp(7, B, 9, bytes(MAX_DATAGRAM_BYTES + 1))


def test_a_changed_neighbour_is_followed() -> None:
    node = host()
    introduce(node)
    exchange(node, 1, arp.request_frame(MAC_C, B, B))
    (answer,) = exchange(node, 2, udp_from_b(b"x"))
    assert answer.get("eth.dst") == MAC_C


def test_strangers_asking_for_strangers_are_not_remembered() -> None:
    node = host()
    exchange(node, 1, arp.request_frame(MAC_B, B, "10.0.1.99"))
    (question,) = exchange(node, 2, udp_from_b(b"x"))
    assert question.arp is not None


def test_settings_are_what_the_file_says_under_settings() -> None:
    assert host(settings={"gain": 2}).settings == {"gain": 2}
    assert host().settings == {}


def test_the_fabric_process_gets_away_with_the_standard_library() -> None:
    import subprocess

    code = "import sys, swarmrig.nodes.python.aggregator; print([m for m in ('pydantic', 'anyio') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert output.stdout == "[]\n"
