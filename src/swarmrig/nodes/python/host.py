"""A small IPv4 host without I/O: the base of Python nodes.

It answers ARP and ping, resolves neighbours, has UDP and TCP sockets and timers, and keeps exact time: it is called
when something is due, and everything it does is stamped with the time at which it was due. Same inputs, same outputs;
there is no clock, no randomness and no thread in here. A node overrides `on_start` and uses `open_udp`, `call_at`,
`log`:

    class Echo(Host):
        def on_start(self) -> None:
            self.socket = self.open_udp(7, self.on_datagram)

        def on_datagram(self, datagram: Datagram) -> None:
            self.socket.send(datagram.src, datagram.sport, datagram.payload)

Not built, because no node here needs it: fragments, IPv6, IP options, ICMP errors. What is private to a host is mangled
(`__x`), for the classes of others derive from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from swarmrig.api.steppable import Place, StepResult, Timer
from swarmrig.net.directory import NOBODY, Directory
from swarmrig.net.link import MIN_FRAME
from swarmrig.nodes.python.alone import Alone
from swarmrig.nodes.python.flow import Flow
from swarmrig.nodes.python.neighbours import Neighbours
from swarmrig.nodes.python.tcp import Connection
from swarmrig.nodes.python.tcp_stack import EPHEMERAL_PORT, TcpStack
from swarmrig.wire import arp
from swarmrig.wire.ethernet import BROADCAST, Ethernet, EtherType, mac_to_bytes
from swarmrig.wire.icmp import ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import (
    DEFAULT_TTL,
    MTU_BYTES,
    Ipv4,
    Protocol,
    ip_to_bytes,
    ip_to_int,
    ip_to_text,
    is_multicast,
    multicast_mac,
)
from swarmrig.wire.malformed import MalformedError
from swarmrig.wire.udp import DatagramFrame, Udp, plain_datagram

MAX_DATAGRAM_BYTES = MTU_BYTES - 28


class Datagram(NamedTuple):
    """A received UDP datagram; `t_ns` is when its frame arrived."""

    t_ns: int
    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """A bound port. `send` raises ValueError for a payload that one packet cannot carry."""

    host: Host
    port: int

    def send(self, dst: str, dport: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        self.host.send_udp(self.port, dst, dport, payload, ttl=ttl)

    def close(self) -> None:
        """Let go of the port."""
        self.host.close_udp(self.port)


@dataclass(slots=True)
class HostCounters:
    """What a host saw and did, in frames and packets."""

    received: int = 0
    sent: int = 0
    malformed: dict[str, int] = field(default_factory=dict)
    """By reason (wire.malformed)."""
    not_for_us: int = 0
    closed_port: int = 0
    unresolved: int = 0
    """Packets dropped because nobody answered ARP for their next hop."""
    no_route: int = 0


class Host:
    """An `api.ResidentNode` with one interface; also an `api.SteppableNode`, as long as it lives nowhere.

    `config`: `mac`, `ip`, and, if wanted, `prefix`, `gateway`; a node of a scenario also finds its number, role, target
    and so on there, the network's `directory`, and what the file says under `settings:` in `self.settings`.
    """

    resolution_ns = 1

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.name = name
        self.config = config
        self.settings: Any = config.get("settings", {})
        self.mac = str(config["mac"]).lower()
        self.ip = str(config["ip"])
        self.prefix = int(config.get("prefix", 16))
        self.gateway: str | None = config.get("gateway")
        self.counters = HostCounters()
        self.now_ns = 0
        """The time of the event being handled."""
        self.__mask = (0xFFFFFFFF << (32 - self.prefix)) & 0xFFFFFFFF
        self.__broadcast = ip_to_text(((ip_to_int(self.ip) | ~self.__mask) & 0xFFFFFFFF).to_bytes(4, "big"))
        self.__sockets: dict[int, Callable[[Datagram], None]] = {}
        self.__tcp: TcpStack | None = None
        self.__mac_bytes = mac_to_bytes(self.mac)
        self.__addresses = {self.ip, self.__broadcast, "255.255.255.255"}
        """Where packets for this host are sent to, its groups included."""
        self.__packet_id = 0
        directory: Directory = config.get("directory", NOBODY)
        self.__neighbours = Neighbours(self, directory.mac_of)
        self.__flows: dict[tuple[int, str, int], Flow] = {}
        self.__alone: Alone = Alone()
        self.__place: Place = self.__alone
        self.__transmit: Callable[[int, bytes], object] = self.__place.send
        self.call_at(0, self.on_start)

    # What a node overrides.

    def on_start(self) -> None:
        """Called once, when its life begins."""

    def report(self) -> Mapping[str, Any]:
        """JSON-able state; a node adds its own."""
        counters = self.counters
        return {
            "ip": self.ip,
            "received": counters.received,
            "sent": counters.sent,
            "malformed": dict(counters.malformed),
            "closed_port": counters.closed_port,
            "unresolved": counters.unresolved,
            "no_route": counters.no_route,
        }

    # What a node uses.

    def log(self, line: str) -> None:
        """Write a line to the node's console."""
        self.__place.say(self.now_ns, line)

    def call_at(self, t_ns: int, callback: Callable[[], None]) -> Timer:
        """Call back at `t_ns` (now, if that is past); equal times in the order of asking."""
        now_ns = self.now_ns
        timer = Timer(t_ns if t_ns > now_ns else now_ns, callback, self)
        self.__place.push(timer)
        return timer

    def every(self, period_ns: int, callback: Callable[[], None], *, first_ns: int | None = None) -> Timer:
        """Call back again and again: first after `first_ns` (default: one period), then every `period_ns` without
        drift. `cancel` ends that. ValueError for a period that is none."""
        if period_ns < 1:
            raise ValueError(f"{self.name}: a period takes at least 1 ns, not {period_ns}")
        after_ns = period_ns if first_ns is None else max(first_ns, 0)
        timer = Timer(self.now_ns + after_ns, callback, self, period_ns)
        self.__place.push(timer)
        return timer

    def call_after(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now_ns + delay_ns, callback)

    def cancel(self, timer: Timer) -> None:
        """Take a timer back; nothing happens when it has fired or was cancelled."""
        self.__place.cancel(timer)

    def open_udp(self, port: int, on_datagram: Callable[[Datagram], None]) -> UdpSocket:
        """Bind a port (0: the next free one). ValueError when it is taken."""
        if port == 0:
            port = next(p for p in range(EPHEMERAL_PORT, 65536) if p not in self.__sockets)
        if not 0 < port < 65536 or port in self.__sockets:
            raise ValueError(f"{self.name}: UDP port {port} is taken or out of range")
        self.__sockets[port] = on_datagram
        return UdpSocket(self, port)

    def close_udp(self, port: int) -> None:
        """Let go of a port."""
        self.__sockets.pop(port, None)

    def listen_tcp(self, port: int, on_connection: Callable[[Connection], None]) -> None:
        """Accept connections; each is told of when it is established. ValueError when the port is taken."""
        self.__stack().listen(port, on_connection)

    def connect_tcp(self, dst: str, dport: int) -> Connection:
        """Begin a connection. Set its callbacks before you return."""
        return self.__stack().connect(dst, dport)

    def join(self, group: str) -> None:
        """Receive what is sent to a multicast group."""
        if not is_multicast(group):
            raise ValueError(f"{group} is no multicast group")
        self.__addresses.add(ip_to_text(ip_to_bytes(group)))

    def send_udp(self, sport: int, dst: str, dport: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        """Send a datagram from `sport`; ValueError when it does not fit into one packet."""
        if len(payload) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"{self.name}: a datagram takes at most {MAX_DATAGRAM_BYTES} bytes, not {len(payload)}")
        flow = self.__flows.get((sport, dst, dport)) or self.__known_flow(sport, dst, dport)
        if flow is None or ttl != DEFAULT_TTL:
            self.send_packet(dst, Protocol.UDP, Udp(sport, dport, payload).pack(self.ip, dst), ttl=ttl)
            return
        self.__packet_id = number = (self.__packet_id + 1) & 0xFFFF
        self.counters.sent += 1
        transmit = self.__transmit
        transmit(self.now_ns, flow.frame(number, payload))

    def send_packet(self, dst: str, proto: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        """Send an IPv4 packet: to the group, the broadcast, the neighbour, or the gateway."""
        self.__packet_id = (self.__packet_id + 1) & 0xFFFF
        packet = Ipv4(self.ip, dst, proto, payload, ttl=ttl, id=self.__packet_id).pack()
        if is_multicast(dst):
            self.transmit(multicast_mac(dst), EtherType.IPV4, packet)
        elif dst in (self.__broadcast, "255.255.255.255"):
            self.transmit(BROADCAST, EtherType.IPV4, packet)
        else:
            hop = self.__next_hop(dst)
            if hop is None:
                self.counters.no_route += 1
            else:
                self.__neighbours.send(hop, packet)

    def transmit(self, dst_mac: str, ethertype: int, payload: bytes) -> None:
        """Send a frame from this host's address."""
        self.transmit_frame(Ethernet(dst_mac, self.mac, ethertype, payload).pack())

    def transmit_frame(self, frame: bytes) -> None:
        """Send a finished frame, as it is. ValueError for one without a whole Ethernet header."""
        if len(frame) < MIN_FRAME:
            raise ValueError(f"{self.name}: sent a frame of {len(frame)} bytes: {frame!r}")
        self.counters.sent += 1
        self.__transmit(self.now_ns, frame)

    def forget_ways(self) -> None:
        """A neighbour has another address now: find out anew how frames get where they go."""
        self.__flows.clear()

    # What the network calls (api.ResidentNode).

    def live_in(self, place: Place, t_ns: int) -> None:
        """Live there from `t_ns` on, with the timers asked for so far."""
        self.now_ns = t_ns
        self.__place = place
        self.__transmit = place.send
        for timer in self.__alone.take_timers():
            timer.t_ns = max(timer.t_ns, t_ns)
            place.push(timer)

    def receive(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives."""
        self.now_ns = t_ns
        self.counters.received += 1
        if type(frame) is DatagramFrame:  # as its sender made it
            src, sport, dst, dport, payload = frame.datagram
            if dst in self.__addresses and (frame[0] & 1 or frame[:6] == self.__mac_bytes):
                handler = self.__sockets.get(dport)
                if handler is None:
                    self.counters.closed_port += 1
                else:
                    handler(_new(Datagram, (t_ns, src, sport, dst, dport, payload)))
                return
        plain = plain_datagram(frame)
        if plain is not None and (frame[0] & 1 or frame[:6] == self.__mac_bytes):
            dst = ip_to_text(plain.dst)
            if dst in self.__addresses:
                self.__hand_out(Datagram(t_ns, ip_to_text(plain.src), plain.sport, dst, plain.dport, plain.payload))
                return
        try:
            self.__dispatch(frame)
        except MalformedError as error:
            reason = error.reason.value
            self.counters.malformed[reason] = self.counters.malformed.get(reason, 0) + 1

    # What a driver calls that advances it step by step (api.SteppableNode).

    def deliver(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives; times never go back."""
        inputs = self.__alone.inputs
        if t_ns < self.now_ns or (inputs and t_ns < inputs[-1][0]):
            raise ValueError(f"{self.name}: an input at {t_ns} ns comes too late")
        inputs.append((t_ns, frame))

    def advance(self, horizon_ns: int) -> StepResult:
        """Timers and inputs in the order of their times; at equal times, timers come first."""
        alone = self.__alone
        while (due_ns := alone.next_ns()) is not None and due_ns <= horizon_ns:
            self.now_ns = due_ns
            timer = alone.take_due(due_ns)
            if timer is None:
                self.receive(*alone.inputs.popleft())
            elif timer.callback is not None:
                callback = timer.callback
                if timer.period_ns:
                    timer.t_ns += timer.period_ns
                    alone.push(timer)
                else:
                    timer.callback = None
                callback()
        self.now_ns = max(self.now_ns, horizon_ns)
        result, alone.result = alone.result, StepResult([], [])
        return result

    def next_deadline_ns(self) -> int | None:
        return self.__alone.next_ns()

    # Inside.

    def __known_flow(self, sport: int, dst: str, dport: int) -> Flow | None:
        """The way of datagrams to a neighbour whose MAC is known; None when there is more to do."""
        if dst in self.__addresses or is_multicast(dst):
            return None
        hop = self.__next_hop(dst)
        mac = None if hop is None else self.__neighbours.mac_of(hop)
        if mac is None:
            return None
        flow = Flow(mac, self.mac, self.ip, sport, dst, dport)
        if len(self.__flows) >= MAX_FLOWS:
            self.__flows.clear()
        self.__flows[sport, dst, dport] = flow
        return flow

    def __next_hop(self, dst: str) -> str | None:
        """The neighbour that packets to an address go to; None when there is no way."""
        return self.gateway if (ip_to_int(dst) ^ ip_to_int(self.ip)) & self.__mask else dst

    def __dispatch(self, frame: bytes) -> None:
        eth = Ethernet.parse(frame)
        if eth.type == EtherType.ARP:
            self.__on_arp(arp.Arp.parse(eth.payload))
        elif eth.type == EtherType.IPV4 and (eth.dst == self.mac or int(eth.dst[:2], 16) & 1):
            self.__on_packet(Ipv4.parse(eth.payload))
        else:
            self.counters.not_for_us += 1

    def __on_arp(self, message: arp.Arp) -> None:
        for_us = message.target_ip == self.ip
        self.__neighbours.learn(message.sender_ip, message.sender_mac, new=for_us)
        if for_us and message.op == arp.REQUEST:
            self.transmit_frame(arp.reply_frame(self.mac, message))

    def __on_packet(self, packet: Ipv4) -> None:
        if packet.dst not in self.__addresses:
            self.counters.not_for_us += 1
        elif packet.fragment:
            return
        elif packet.proto == Protocol.UDP:
            udp = Udp.parse(packet.payload, packet.src, packet.dst)
            self.__hand_out(Datagram(self.now_ns, packet.src, udp.sport, packet.dst, udp.dport, udp.payload))
        elif packet.proto == Protocol.ICMP:
            message = Icmp.parse(packet.payload)
            if message.type == ECHO_REQUEST and packet.dst == self.ip:
                self.send_packet(packet.src, Protocol.ICMP, message.reply().pack())
        elif packet.proto == Protocol.TCP and packet.dst == self.ip:
            self.__stack().take(packet)

    def __stack(self) -> TcpStack:
        self.__tcp = self.__tcp or TcpStack(self)
        return self.__tcp

    def __hand_out(self, datagram: Datagram) -> None:
        handler = self.__sockets.get(datagram.dport)
        if handler is None:
            self.counters.closed_port += 1
        else:
            handler(datagram)


_new = tuple.__new__
MAX_FLOWS = 4096
"""Ways that a host remembers."""
