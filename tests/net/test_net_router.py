"""The router: forwards with a correct checksum, resolves, answers, refuses, hands out addresses, never loops."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import PERFECT, Lease, Route, RouterInterface, RouterPlan
from swarmrig.net import router as router_module
from swarmrig.net.link import Agenda, Direction
from swarmrig.net.router import ANSWER_DELAY_NS, ARP_RETRY_NS, WAITING_PACKETS, Router
from swarmrig.wire.arp import REPLY, REQUEST, Arp, reply_frame, request_frame
from swarmrig.wire.ethernet import BROADCAST, Ethernet, EtherType
from swarmrig.wire.icmp import ECHO_REPLY, ECHO_REQUEST, TIME_EXCEEDED, UNREACHABLE, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol, multicast_mac
from swarmrig.wire.udp import Udp

LEFT, RIGHT, FAR = "52:54:00:40:00:01", "52:54:00:40:00:02", "52:54:00:40:00:03"
ALICE, BOB, NEXT = "52:54:00:03:00:01", "52:54:00:03:00:02", "52:54:00:03:00:03"
PLAN = RouterPlan(
    "r",
    (
        RouterInterface("left", LEFT, "10.1.0.1", 24, (Lease(ALICE, "10.1.0.2"),)),
        RouterInterface("right", RIGHT, "10.1.1.1", 24),
        RouterInterface("far", FAR, "172.16.0.1", 30),
    ),
    (Route("10.1.2.0/24", "far", "172.16.0.2"), Route("10.0.0.0/8", "right", "10.1.1.9")),
)


@dataclass
class Rig:
    """A router with recording links."""

    plan: RouterPlan = PLAN
    agenda: Agenda = field(default_factory=Agenda)
    sent: list[tuple[str, Ethernet]] = field(default_factory=list)

    def __post_init__(self) -> None:
        egresses = {}
        for interface in self.plan.interfaces:
            egress = Direction(interface.link, "forward", 0, PERFECT, self.agenda, access=True)
            egress.connect(lambda _, frame, link=interface.link: self.sent.append((link, Ethernet.parse(frame))))
            egresses[interface.link] = egress
        self.router = Router(self.plan, egresses, self.agenda)
        self.interfaces = {interface.plan.link: interface for interface in self.router.interfaces}

    def receive(self, link: str, frame: bytes, t_ns: int = 0) -> list[tuple[str, Ethernet]]:
        """What the router sends at once, or answers."""
        self.sent.clear()
        self.interfaces[link].receive(t_ns, frame)
        at_once = list(self.sent)
        return at_once + self.until(t_ns + ANSWER_DELAY_NS)

    def packet(self, link: str, packet: Ipv4, *, to: str | None = None, t_ns: int = 0) -> list[tuple[str, Ethernet]]:
        mac = to or self.interfaces[link].plan.mac
        return self.receive(link, Ethernet(mac, ALICE, EtherType.IPV4, packet.pack()).pack(), t_ns)

    def know(self, link: str, mac: str, ip: str) -> None:
        """Let the router learn a neighbour."""
        own = self.interfaces[link].plan
        self.receive(link, reply_frame(mac, Arp(REQUEST, own.mac, own.ip, mac, ip)))

    def until(self, t_ns: int) -> list[tuple[str, Ethernet]]:
        self.sent.clear()
        while self.agenda.heap and self.agenda.heap[0][0] <= t_ns:
            self.agenda.heap.sort(key=lambda entry: entry[:2])
            due, _, receiver, frame = self.agenda.heap.pop(0)
            receiver(due, frame)
        return list(self.sent)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.know("left", ALICE, "10.1.0.2")
    rig.know("right", BOB, "10.1.1.2")
    rig.know("far", NEXT, "172.16.0.2")
    return rig


def udp(src: str, dst: str, *, ttl: int = 64, payload: bytes = b"hello", dport: int = 9) -> Ipv4:
    return Ipv4(src, dst, Protocol.UDP, Udp(1000, dport, payload).pack(src, dst), ttl=ttl)


def icmp_of(sent: list[tuple[str, Ethernet]]) -> tuple[Ipv4, Icmp]:
    ((_, frame),) = sent
    packet = Ipv4.parse(frame.payload)
    assert packet.proto == Protocol.ICMP
    return packet, Icmp.parse(packet.payload)


@given(ttl=st.integers(2, 255), tos=st.integers(0, 255), ident=st.integers(0, 65535), payload=st.binary(max_size=99),
       options=st.sampled_from([b"", b"\x01" * 4, b"\x01" * 40]))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_forwarding_changes_the_ttl_and_nothing_else(
    ttl: int, tos: int, ident: int, payload: bytes, options: bytes
) -> None:
    rig = Rig()
    rig.know("right", BOB, "10.1.1.2")
    packet = Ipv4("10.1.0.2", "10.1.1.2", 200, payload, ttl=ttl, tos=tos, id=ident, options=options)
    ((link, frame),) = rig.packet("left", packet)
    assert (link, frame.src, frame.dst) == ("right", RIGHT, BOB)
    received = Ipv4.parse(frame.payload)  # verifies the checksum
    assert received == Ipv4("10.1.0.2", "10.1.1.2", 200, payload, ttl=ttl - 1, tos=tos, id=ident, options=options)


def test_padding_is_not_forwarded(rig: Rig) -> None:
    frame = Ethernet(LEFT, ALICE, EtherType.IPV4, udp("10.1.0.2", "10.1.1.2").pack() + bytes(30)).pack()
    ((_, sent),) = rig.receive("left", frame)
    assert len(sent.payload) == 33


@pytest.mark.parametrize(
    ("target", "link", "mac"),
    [("10.1.1.2", "right", BOB), ("10.1.2.2", "far", NEXT), ("10.1.0.2", "left", ALICE)],
)
def test_longest_prefix_decides(rig: Rig, target: str, link: str, mac: str) -> None:
    ((out, frame),) = rig.packet("far", udp("10.1.2.2", target))
    assert (out, frame.dst) == (link, mac)
    assert rig.router.forwarded == 1


def test_a_shorter_prefix_takes_the_rest(rig: Rig) -> None:
    ((out, frame),) = rig.packet("left", udp("10.1.0.2", "10.77.0.1"))
    assert (out, frame.type) == ("right", EtherType.ARP)
    assert Arp.parse(frame.payload).target_ip == "10.1.1.9"


def test_frames_for_others_are_ignored(rig: Rig) -> None:
    assert rig.packet("left", udp("10.1.0.2", "10.1.1.2"), to=BOB) == []


def test_unknown_neighbours_are_asked_for_and_packets_wait() -> None:
    rig = Rig()
    ((link, question),) = rig.packet("left", udp("10.1.0.2", "10.1.1.7"))
    asked = Arp.parse(question.payload)
    assert (link, question.dst, asked.op, asked.target_ip) == ("right", BROADCAST, REQUEST, "10.1.1.7")
    assert rig.packet("left", udp("10.1.0.2", "10.1.1.7", payload=b"second")) == []  # one question is enough
    answer = rig.receive("right", reply_frame(BOB, Arp(REQUEST, RIGHT, "10.1.1.1", BROADCAST, "10.1.1.7")))
    assert [frame.dst for _, frame in answer] == [BOB, BOB]
    assert b"second" in answer[1][1].payload


def test_the_waiting_room_is_bounded_and_keeps_the_newest() -> None:
    rig = Rig()
    for number in range(WAITING_PACKETS + 5):
        rig.packet("left", udp("10.1.0.2", "10.1.1.7", payload=b"%03d" % number))
    answer = rig.receive("right", reply_frame(BOB, Arp(REQUEST, RIGHT, "10.1.1.1", BROADCAST, "10.1.1.7")))
    assert [frame.payload[-3:] for _, frame in answer] == [b"%03d" % n for n in range(5, WAITING_PACKETS + 5)]
    assert rig.router.drops == {"arp: queue full": 5}


def test_after_three_questions_the_host_is_unreachable() -> None:
    rig = Rig()
    rig.know("left", ALICE, "10.1.0.2")
    rig.packet("left", udp("10.1.0.2", "10.1.1.7"))
    assert [Arp.parse(frame.payload).op for _, frame in rig.until(2 * ARP_RETRY_NS)] == [REQUEST, REQUEST]
    packet, message = icmp_of(rig.until(3 * ARP_RETRY_NS))
    assert (packet.dst, message.type, message.code) == ("10.1.0.2", UNREACHABLE, 1)
    assert not rig.agenda.heap
    assert rig.router.drops == {"arp: no answer": 1}


def test_resolutions_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "NEIGHBOURS", 3)
    rig = Rig()
    for host in range(10):
        rig.packet("left", udp("10.1.0.2", f"10.1.1.{20 + host}"))
    assert rig.router.drops == {"arp: too many resolutions": 7}
    for host in range(10):
        rig.know("right", BOB, f"10.1.1.{100 + host}")
    assert len(rig.router._neighbours) == 3


def test_arp_is_answered_for_the_own_address_only(rig: Rig) -> None:
    ((_, frame),) = rig.receive("left", request_frame(ALICE, "10.1.0.2", "10.1.0.1"))
    reply = Arp.parse(frame.payload)
    assert (reply.op, reply.sender_mac, reply.sender_ip, frame.dst) == (REPLY, LEFT, "10.1.0.1", ALICE)
    assert rig.receive("left", request_frame(ALICE, "10.1.0.2", "10.1.1.1")) == []


def test_an_arp_of_another_subnet_or_of_the_own_address_is_not_learned(rig: Rig) -> None:
    rig.receive("left", request_frame(ALICE, "10.9.9.9", "10.1.0.1"))
    rig.receive("left", request_frame(ALICE, "10.1.0.1", "10.1.0.1"))
    assert bytes((10, 9, 9, 9)) not in rig.router._neighbours
    assert bytes((10, 1, 0, 1)) not in rig.router._neighbours


@pytest.mark.parametrize("own", ["10.1.0.1", "10.1.1.1", "172.16.0.1"])
def test_every_own_address_answers_pings(rig: Rig, own: str) -> None:
    echo = Icmp(ECHO_REQUEST, 0, 7, 3, b"ping")
    packet, reply = icmp_of(rig.packet("left", Ipv4("10.1.0.2", own, Protocol.ICMP, echo.pack())))
    assert (packet.src, packet.dst) == (own, "10.1.0.2")
    assert (reply.type, reply.id, reply.seq, reply.payload) == (ECHO_REPLY, 7, 3, b"ping")


@pytest.mark.parametrize(
    ("packet", "kind", "code", "drop"),
    [
        (udp("10.1.0.2", "10.1.1.2", ttl=1), TIME_EXCEEDED, 0, "ip: time to live"),
        (udp("10.1.0.2", "10.1.1.2", ttl=0), TIME_EXCEEDED, 0, "ip: time to live"),
        (udp("10.1.0.2", "192.168.0.1"), UNREACHABLE, 0, "ip: no route"),
        (udp("10.1.0.2", "10.1.0.1"), UNREACHABLE, 3, None),
        (Ipv4("10.1.0.2", "10.1.0.1", 6, bytes(20)), UNREACHABLE, 2, None),
    ],
)
def test_what_cannot_be_done_is_refused(rig: Rig, packet: Ipv4, kind: int, code: int, drop: str | None) -> None:
    error, message = icmp_of(rig.packet("left", packet))
    assert (error.src, error.dst, message.type, message.code) == ("10.1.0.1", "10.1.0.2", kind, code)
    assert message.payload == packet.pack()[:28]
    assert rig.router.drops == ({drop: 1} if drop else {})


@pytest.mark.parametrize(
    "packet",
    [
        Ipv4("10.1.0.2", "192.168.0.1", Protocol.ICMP, Icmp(UNREACHABLE, 0).pack()),
        Ipv4("10.1.0.2", "192.168.0.1", Protocol.UDP, bytes(8), flags=0x0001),
        Ipv4("0.0.0.0", "192.168.0.1", Protocol.UDP, bytes(8)),
        Ipv4("239.1.2.3", "192.168.0.1", Protocol.UDP, bytes(8)),
        Ipv4("127.0.0.1", "192.168.0.1", Protocol.UDP, bytes(8)),
    ],
    ids=["about an error", "a later fragment", "no source", "group source", "loopback source"],
)
def test_no_error_is_sent_about_what_must_not_have_one(rig: Rig, packet: Ipv4) -> None:
    assert rig.packet("left", packet) == []
    assert rig.router.drops == {"ip: no route": 1}


def test_broadcasts_are_not_forwarded(rig: Rig) -> None:
    for target in ("255.255.255.255", "10.1.0.255"):
        assert rig.packet("left", udp("10.1.0.2", target), to=BROADCAST) == []
    assert rig.packet("left", udp("10.1.0.2", "10.1.1.255")) == []
    assert rig.router.drops == {"ip: directed broadcast": 1}


def test_multicast_goes_everywhere_else_once(rig: Rig) -> None:
    group = "239.83.87.1"
    sent = rig.packet("left", udp("10.1.0.2", group, ttl=16), to=multicast_mac(group))
    assert [(link, frame.dst) for link, frame in sent] == [(at, multicast_mac(group)) for at in ("right", "far")]
    assert {Ipv4.parse(frame.payload).ttl for _, frame in sent} == {15}


@pytest.mark.parametrize(
    ("link", "packet", "drops"),
    [
        ("right", udp("10.1.0.2", "239.83.87.1", ttl=16), 1),  # not from where the source lives
        ("left", udp("192.168.0.1", "239.83.87.1", ttl=16), 1),  # a source without a route
        ("left", udp("10.1.0.2", "239.83.87.1", ttl=1), 0),
        ("left", udp("10.1.0.2", "224.0.0.251", ttl=255), 0),  # link-local
    ],
)
def test_multicast_that_must_stay(rig: Rig, link: str, packet: Ipv4, drops: int) -> None:
    assert rig.packet(link, packet, to=multicast_mac(packet.dst)) == []
    assert sum(rig.router.drops.values()) == drops


@given(st.binary(max_size=120), st.booleans())
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises(data: bytes, ip: bool) -> None:
    rig = Rig()
    rig.receive("left", bytes.fromhex(LEFT.replace(":", "")) + bytes(6) + (b"\x08\x00" if ip else b"\x08\x06") + data)
    rig.receive("left", data.ljust(14, b"\0"))


def test_damaged_packets_are_dropped_and_counted(rig: Rig) -> None:
    good = udp("10.1.0.2", "10.1.1.2").pack()
    for damaged in (good[:10], b"\x65" + good[1:], good[:8] + b"\x07" + good[9:], good[:-3]):
        assert rig.receive("left", Ethernet(LEFT, ALICE, EtherType.IPV4, damaged).pack()) == []
    assert rig.router.drops == {"ip: not an IPv4 header": 2, "ip: damaged header": 2}
    assert rig.receive("left", Ethernet(BROADCAST, ALICE, EtherType.ARP, b"short").pack()) == []
    bad_sum = Ipv4("10.1.0.2", "10.1.0.1", Protocol.ICMP, b"\x08\x00\x12\x34" + bytes(8))
    assert rig.packet("left", bad_sum) == []
    assert rig.router.drops["icmp: checksum"] == 1


# -- DHCP


def dhcp(kind: int, options: Mapping[int, bytes] | None = None, *, mac: str = ALICE, flags: int = 0,
         ciaddr: bytes = bytes(4)) -> bytes:  # fmt: skip
    address = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0xABCD1234, 0, flags) + ciaddr + bytes(12)
    body = head + address.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63"
    given = {53: bytes((kind,)), **(options or {})}
    return body + b"\x00" + b"".join(bytes((code, len(value))) + value for code, value in given.items()) + b"\xff"


def ask(rig: Rig, payload: bytes, link: str = "left") -> tuple[Ethernet, Ipv4, int, bytes, dict[int, bytes]] | None:
    packet = Ipv4("0.0.0.0", "255.255.255.255", Protocol.UDP, Udp(68, 67, payload).pack("0.0.0.0", "255.255.255.255"))
    sent = rig.packet(link, packet, to=BROADCAST)
    if not sent:
        return None
    ((_, frame),) = sent
    ip = Ipv4.parse(frame.payload)
    reply = Udp.parse(ip.payload, ip.src, ip.dst)
    assert (reply.sport, reply.dport) == (67, 68)
    data, options = reply.payload, {}
    assert data[4:8] == bytes.fromhex("abcd1234")
    at = 240
    while data[at] != 255:
        options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return frame, ip, options[53][0], data[16:20], options


def test_discover_offer_request_ack(rig: Rig) -> None:
    offer = ask(rig, dhcp(1))
    assert offer is not None
    frame, ip, kind, address, options = offer
    assert (kind, address, frame.dst, ip.dst) == (2, bytes((10, 1, 0, 2)), ALICE, "10.1.0.2")
    assert options[1] == bytes((255, 255, 255, 0))
    assert options[3] == options[54] == bytes((10, 1, 0, 1))
    ack = ask(rig, dhcp(3, {50: address, 54: options[54]}, flags=0x8000))
    assert ack is not None
    assert (ack[2], ack[3], ack[0].dst, ack[1].dst) == (5, address, BROADCAST, "255.255.255.255")
    assert ack[4][51] == (86_400).to_bytes(4, "big")


def test_renewal_goes_to_the_client_itself(rig: Rig) -> None:
    ack = ask(rig, dhcp(3, ciaddr=bytes((10, 1, 0, 2)), flags=0x8000))
    assert ack is not None
    assert (ack[2], ack[0].dst, ack[1].dst) == (5, ALICE, "10.1.0.2")


def test_a_wrong_wish_is_denied_aloud(rig: Rig) -> None:
    nak = ask(rig, dhcp(3, {50: bytes((10, 1, 0, 99))}))
    assert nak is not None
    assert (nak[2], nak[3], nak[1].dst) == (6, bytes(4), "255.255.255.255")


def test_inform_gives_no_address(rig: Rig) -> None:
    ack = ask(rig, dhcp(8, ciaddr=bytes((10, 1, 0, 2))))
    assert ack is not None
    assert (ack[2], ack[3]) == (5, bytes(4))
    assert 51 not in ack[4]


@pytest.mark.parametrize(
    ("payload", "link"),
    [
        (dhcp(1, mac=BOB), "left"),  # not in the plan
        (dhcp(1), "right"),  # in the plan of another interface
        (dhcp(3, {50: bytes((10, 1, 0, 2)), 54: bytes((10, 9, 9, 9))}), "left"),  # meant for another server
        (dhcp(7), "left"),  # RELEASE
        (dhcp(1)[:200], "left"),
        (dhcp(1)[:240], "left"),  # no options
        (b"\x02" + dhcp(1)[1:], "left"),  # a reply
        (dhcp(1)[:-4] + b"\x35\x09\x01", "left"),  # an option that is cut off
    ],
)
def test_what_dhcp_does_not_answer(rig: Rig, payload: bytes, link: str) -> None:
    assert ask(rig, payload, link) is None


def test_a_router_with_one_foot_is_nobodys_gateway() -> None:
    foot = RouterInterface("lan", LEFT, "10.0.0.254", 16, (Lease(ALICE, "10.0.1.11"),))
    offer = ask(Rig(RouterPlan("services", (foot,), ())), dhcp(1), "lan")
    assert offer is not None
    assert offer[3] == bytes((10, 0, 1, 11))
    assert offer[4][1] == bytes((255, 255, 0, 0))
    assert 3 not in offer[4]
