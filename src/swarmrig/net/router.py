"""An IPv4 router, sans-I/O: static routes, ARP, ICMP, DHCP for its plan's leases, multicast by reverse path.

Forwarding follows RFC 1812 as far as a test network needs it: no fragmentation (links have no MTU), no redirects, no
options. Multicast with a TTL above 1 goes out of every other interface, but only when it came in on the one that
leads back to its source, so rings neither loop nor deliver twice.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmrig.model.network import RouterInterface, RouterPlan
from swarmrig.net.dhcp import CLIENT_PORT, SERVER_PORT, DhcpServer
from swarmrig.net.link import Agenda, Direction
from swarmrig.wire.arp import REPLY, REQUEST, Arp, reply_frame, request_frame
from swarmrig.wire.ethernet import mac_to_bytes
from swarmrig.wire.icmp import ECHO_REQUEST, TIME_EXCEEDED, UNREACHABLE, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol, checksum, decrement_ttl, ip_to_bytes, ip_to_text
from swarmrig.wire.malformed import MalformedError
from swarmrig.wire.udp import Udp

ARP_RETRY_NS = 1_000_000_000
ARP_ATTEMPTS = 3
WAITING_PACKETS = 16
"""Packets that wait for one address to be resolved; beyond, the oldest goes."""
NEIGHBOURS = 4096
"""Neighbours remembered, and resolutions under way at once."""

_IPV4, _ARP = b"\x08\x00", b"\x08\x06"
_ETHERTYPES = (_IPV4, _ARP)
_BROADCAST = b"\xff" * 6
_ANY_HOST = b"\xff" * 4
_NET, _HOST, _PROTOCOL, _PORT = 0, 1, 2, 3
"""Codes of ICMP unreachable."""


@dataclass(eq=False, slots=True)
class Interface:
    """One foot of the router: `receive` takes what comes in from its link."""

    router: Router
    plan: RouterInterface
    egress: Direction
    dhcp: DhcpServer
    mac: bytes = field(init=False)
    ip: bytes = field(init=False)
    broadcast: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.mac = mac_to_bytes(self.plan.mac)
        self.ip = ip_to_bytes(self.plan.ip)
        self.broadcast = self.network.broadcast_address.packed

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.ip_network(f"{self.plan.ip}/{self.plan.prefix}", strict=False)  # type: ignore[return-value]

    def receive(self, t_ns: int, frame: bytes) -> None:
        self.router.receive(self, t_ns, frame)


@dataclass(slots=True)
class _Resolution:
    """Packets that wait for a neighbour's MAC."""

    interface: Interface
    attempts: int = 1
    packets: deque[bytes] = field(default_factory=lambda: deque(maxlen=WAITING_PACKETS))


ANSWER_DELAY_NS = 1_000_000
"""What leaves through the interface on which its cause came in (an ARP or echo reply, DHCP, what waited for an address)
leaves so much later; forwarding takes no time. Or else a guest next to a router would hear it at once, and virtual
time, which lets nobody hear anything in its own past, could not let it run."""


class Router:
    """See RouterPlan. `drops` counts by reason what was not forwarded."""

    def __init__(self, plan: RouterPlan, egresses: Mapping[str, Direction], agenda: Agenda) -> None:
        """`egresses`: by link name, the direction away from the router."""
        self.name = plan.name
        self._agenda = agenda
        self.interfaces = tuple(
            Interface(
                self, interface, egresses[interface.link], _dhcp_server(interface, routed=len(plan.interfaces) > 1)
            )
            for interface in plan.interfaces
        )
        self._own = {interface.ip: interface for interface in self.interfaces}
        self._tables = _route_tables(plan, self.interfaces)
        self._route_cache: dict[bytes, tuple[Interface, bytes | None] | None] = {}
        self._neighbours: dict[bytes, bytes] = {}
        self._resolving: dict[bytes, _Resolution] = {}
        self._cause: Interface | None = None
        """Where the frame came in that is being dealt with."""
        self.forwarded = 0
        self.drops: dict[str, int] = {}

    def receive(self, interface: Interface, t_ns: int, frame: bytes) -> None:
        target = frame[:6]
        if target != interface.mac and not target[0] & 1:
            return
        outer, self._cause = self._cause, interface
        kind = frame[12:14]
        if kind == _IPV4:
            self._receive_ipv4(interface, t_ns, frame[14:])
        elif kind == _ARP:
            self._receive_arp(interface, t_ns, frame[14:])
        self._cause = outer

    def route(self, target: bytes) -> tuple[Interface, bytes | None] | None:
        """The longest match: interface and next hop (None: on-link)."""
        try:
            return self._route_cache[target]
        except KeyError:
            pass
        number = int.from_bytes(target, "big")
        found = next((table[number & mask] for mask, table in self._tables if number & mask in table), None)
        if len(self._route_cache) >= NEIGHBOURS:
            self._route_cache.clear()
        self._route_cache[target] = found
        return found

    # -- ARP

    def _receive_arp(self, interface: Interface, t_ns: int, payload: bytes) -> None:
        try:
            arp = Arp.parse(payload)
        except MalformedError as error:
            self._drop(error.reason.value)
            return
        sender = ip_to_bytes(arp.sender_ip)
        if arp.op not in (REQUEST, REPLY) or sender in self._own:
            return
        if ipaddress.IPv4Address(sender) in interface.network:
            self._learn(t_ns, sender, mac_to_bytes(arp.sender_mac))
        if arp.op == REQUEST and arp.target_ip == interface.plan.ip:
            self._send(interface, t_ns, reply_frame(interface.plan.mac, arp))

    def _learn(self, t_ns: int, ip: bytes, mac: bytes) -> None:
        if ip not in self._neighbours and len(self._neighbours) >= NEIGHBOURS:
            del self._neighbours[next(iter(self._neighbours))]
        self._neighbours[ip] = mac
        resolution = self._resolving.pop(ip, None)
        for packet in resolution.packets if resolution else ():
            self._emit(resolution.interface, t_ns, mac, packet)  # type: ignore[union-attr]

    def _resolve(self, interface: Interface, t_ns: int, hop: bytes, packet: bytes) -> None:
        resolution = self._resolving.get(hop)
        if resolution is None:
            if len(self._resolving) >= NEIGHBOURS:
                self._drop("arp: too many resolutions")
                return
            resolution = self._resolving[hop] = _Resolution(interface)
            self._ask(resolution, t_ns, hop)
        if len(resolution.packets) == WAITING_PACKETS:
            self._drop("arp: queue full")
        resolution.packets.append(packet)

    def _ask(self, resolution: _Resolution, t_ns: int, hop: bytes) -> None:
        plan = resolution.interface.plan
        self._send(resolution.interface, t_ns, request_frame(plan.mac, plan.ip, ip_to_text(hop)))
        self._agenda.at(t_ns + ARP_RETRY_NS, self._retry, hop)

    def _retry(self, t_ns: int, hop: bytes) -> None:
        resolution = self._resolving.get(hop)
        if resolution is None:
            return
        if resolution.attempts < ARP_ATTEMPTS:
            resolution.attempts += 1
            self._ask(resolution, t_ns, hop)
            return
        del self._resolving[hop]
        for packet in resolution.packets:
            self._drop("arp: no answer")
            self._refuse(t_ns, packet, UNREACHABLE, _HOST)

    # -- IPv4

    def _receive_ipv4(self, interface: Interface, t_ns: int, packet: bytes) -> None:
        if len(packet) < 20 or packet[0] >> 4 != 4:
            self._drop("ip: not an IPv4 header")
            return
        header = (packet[0] & 15) * 4
        total = packet[2] << 8 | packet[3]
        if not 20 <= header <= total <= len(packet) or checksum(packet[:header]):
            self._drop("ip: damaged header")
            return
        packet = packet[:total]
        target = packet[16:20]
        if 224 <= target[0] <= 239:
            self._forward_multicast(interface, t_ns, packet)
        elif target in self._own:
            self._receive_own(interface, t_ns, packet)
        elif target == _ANY_HOST or target == interface.broadcast:
            self._receive_broadcast(interface, t_ns, packet)
        else:
            self._forward(t_ns, packet, target)

    def _forward(self, t_ns: int, packet: bytes, target: bytes) -> None:
        route = self.route(target)
        if route is None:
            self._drop("ip: no route")
            self._refuse(t_ns, packet, UNREACHABLE, _NET)
        elif packet[8] <= 1:
            self._drop("ip: time to live")
            self._refuse(t_ns, packet, TIME_EXCEEDED, 0)
        elif target == route[0].broadcast:
            self._drop("ip: directed broadcast")
        else:
            self.forwarded += 1
            self._transmit(route, t_ns, decrement_ttl(packet), target)

    def _forward_multicast(self, interface: Interface, t_ns: int, packet: bytes) -> None:
        group = packet[16:20]
        if packet[8] <= 1 or group[:3] == b"\xe0\x00\x00":
            return
        back = self.route(packet[12:16])
        if back is None or back[0] is not interface:
            self._drop("ip: multicast off the reverse path")
            return
        packet = decrement_ttl(packet)
        mac = bytes((0x01, 0x00, 0x5E, group[1] & 0x7F, group[2], group[3]))
        for other in self.interfaces:
            if other is not interface:
                self.forwarded += 1
                self._emit(other, t_ns, mac, packet)

    def _receive_own(self, interface: Interface, t_ns: int, packet: bytes) -> None:
        try:
            ip = Ipv4.parse(packet)
            if ip.proto == Protocol.ICMP:
                icmp = Icmp.parse(ip.payload)
                if icmp.type == ECHO_REQUEST:
                    self._originate(t_ns, Ipv4(ip.dst, ip.src, Protocol.ICMP, icmp.reply().pack(), id=ip.id))
            elif ip.proto != Protocol.UDP:
                self._refuse(t_ns, packet, UNREACHABLE, _PROTOCOL)
            elif not self._serve_dhcp(interface, t_ns, Udp.parse(ip.payload, ip.src, ip.dst)):
                self._refuse(t_ns, packet, UNREACHABLE, _PORT)
        except MalformedError as error:
            self._drop(error.reason.value)

    def _receive_broadcast(self, interface: Interface, t_ns: int, packet: bytes) -> None:
        try:
            ip = Ipv4.parse(packet)
            if ip.proto == Protocol.UDP:
                self._serve_dhcp(interface, t_ns, Udp.parse(ip.payload, ip.src, ip.dst))
        except MalformedError as error:
            self._drop(error.reason.value)

    def _serve_dhcp(self, interface: Interface, t_ns: int, udp: Udp) -> bool:
        """Answer a DHCP client; False when the datagram is none of DHCP's business."""
        if udp.dport != SERVER_PORT or not interface.dhcp.leases:
            return False
        reply = interface.dhcp.answer(udp.payload)
        if reply is not None:
            target = ip_to_text(reply.ip)
            answer = Udp(SERVER_PORT, CLIENT_PORT, reply.payload).pack(interface.plan.ip, target)
            packet = Ipv4(interface.plan.ip, target, Protocol.UDP, answer).pack()
            self._emit(interface, t_ns, reply.mac, packet)
        return True

    # -- sending

    def _originate(self, t_ns: int, packet: Ipv4) -> None:
        target = ip_to_bytes(packet.dst)
        route = self.route(target)
        if route is None:
            self._drop("ip: no route")
        else:
            self._transmit(route, t_ns, packet.pack(), target)

    def _refuse(self, t_ns: int, packet: bytes, kind: int, code: int) -> None:
        """Send an ICMP error about a packet, unless RFC 1122 (3.2.2) forbids one."""
        header = (packet[0] & 15) * 4
        source = packet[12:16]
        about_error = packet[9] == Protocol.ICMP and packet[header : header + 1] not in (b"\x00", b"\x08")
        later_fragment = (packet[6] << 8 | packet[7]) & 0x1FFF
        if about_error or later_fragment or source[0] in (0, 127) or source[0] >= 224:
            return
        # Type, code, four unused bytes, then the packet's header and eight bytes more.
        message = Icmp(kind, code, 0, 0, packet[: header + 8]).pack()
        own = self.interfaces[0].plan.ip
        self._originate(t_ns, Ipv4(own, ip_to_text(source), Protocol.ICMP, message))

    def _transmit(self, route: tuple[Interface, bytes | None], t_ns: int, packet: bytes, target: bytes) -> None:
        interface, hop = route
        hop = hop or target
        mac = self._neighbours.get(hop)
        if mac is None:
            self._resolve(interface, t_ns, hop, packet)
        else:
            self._emit(interface, t_ns, mac, packet)

    def _emit(self, interface: Interface, t_ns: int, mac: bytes, packet: bytes) -> None:
        self._send(interface, t_ns, mac + interface.mac + _IPV4 + packet)

    def _send(self, interface: Interface, t_ns: int, frame: bytes) -> None:
        if interface is self._cause:
            self._agenda.at(t_ns + ANSWER_DELAY_NS, interface.egress.send, frame)
        else:
            interface.egress.send(t_ns, frame)

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1


def _dhcp_server(interface: RouterInterface, *, routed: bool) -> DhcpServer:
    ip = ip_to_bytes(interface.ip)
    mask = (0xFFFFFFFF << (32 - interface.prefix) & 0xFFFFFFFF).to_bytes(4, "big")
    leases = {mac_to_bytes(lease.mac): ip_to_bytes(lease.ip) for lease in interface.leases}
    return DhcpServer(ip, mask, ip if routed else None, leases)


def _route_tables(
    plan: RouterPlan, interfaces: tuple[Interface, ...]
) -> tuple[tuple[int, dict[int, tuple[Interface, bytes | None]]], ...]:
    """(mask, network number -> route), longest prefix first; connected networks win over static ones."""
    by_link = {interface.plan.link: interface for interface in interfaces}
    tables: dict[int, dict[int, tuple[Interface, bytes | None]]] = {}
    entries = [(interface.network, interface, None) for interface in interfaces]
    for route in plan.routes:
        network = ipaddress.IPv4Network(route.network)
        hop = None if route.next_hop is None else ip_to_bytes(route.next_hop)
        entries.append((network, by_link[route.link], hop))  # type: ignore[arg-type]
    for network, interface, hop in entries:
        tables.setdefault(int(network.netmask), {}).setdefault(int(network.network_address), (interface, hop))
    return tuple(sorted(tables.items(), key=lambda item: -item[0]))
