"""A small IPv4 host without I/O: the base of Python nodes.

It answers ARP and ping, resolves neighbours, has UDP sockets and timers, and keeps exact time: it is advanced by its
driver, and everything it does is stamped with the time at which it was due. Same inputs, same outputs; there is no
clock, no randomness and no thread in here. A node overrides `on_start` and uses `open_udp`, `call_at`, `log`:

    class Echo(Host):
        def on_start(self) -> None:
            self.socket = self.open_udp(7, self.on_datagram)

        def on_datagram(self, datagram: Datagram) -> None:
            self.socket.send(datagram.src, datagram.sport, datagram.payload)

Not built, because no node here needs it: fragments, IPv6, TCP, IP options, ICMP errors.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmrig.api.steppable import StepResult
from swarmrig.nodes.python.neighbours import Neighbours
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
from swarmrig.wire.udp import Udp, plain_datagram

MAX_DATAGRAM_BYTES = MTU_BYTES - 28
EPHEMERAL_PORT = 49152


@dataclass(frozen=True, slots=True)
class Datagram:
    """A received UDP datagram; `t_ns` is when its frame arrived."""

    t_ns: int
    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Timer:
    """A pending call; `Host.cancel` takes it back."""

    t_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """A bound port. `send` raises ValueError for a payload that one packet cannot carry."""

    host: Host
    port: int

    def send(self, dst: str, dport: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        self.host.send_udp(self.port, dst, dport, payload, ttl=ttl)


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
    """An `api.SteppableNode` with one interface.

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
        self._mask = (0xFFFFFFFF << (32 - self.prefix)) & 0xFFFFFFFF
        self._broadcast = ip_to_text(((ip_to_int(self.ip) | ~self._mask) & 0xFFFFFFFF).to_bytes(4, "big"))
        self._now_ns = 0
        self._inputs: deque[tuple[int, bytes]] = deque()
        self._timers: list[tuple[int, int]] = []
        self._calls: dict[int, Callable[[], None]] = {}
        self._timer_count = 0
        self._result = StepResult([], [])
        self._sockets: dict[int, Callable[[Datagram], None]] = {}
        self._groups: set[str] = set()
        self._mac_bytes = mac_to_bytes(self.mac)
        self._addresses = {ip_to_bytes(address) for address in (self.ip, self._broadcast, "255.255.255.255")}
        """Where packets for this host are sent to, its groups included."""
        self._packet_id = 0
        self._neighbours = Neighbours(self)
        self.call_at(0, self.on_start)

    # What a node overrides.

    def on_start(self) -> None:
        """Called once, at time 0."""

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

    @property
    def now_ns(self) -> int:
        """The time of the event being handled."""
        return self._now_ns

    def log(self, line: str) -> None:
        """Write a line to the node's console."""
        self._result.console.append((self._now_ns, line))

    def call_at(self, t_ns: int, callback: Callable[[], None]) -> Timer:
        """Call back at `t_ns` (now, if that is past); equal times in the order of asking."""
        timer = Timer(max(t_ns, self._now_ns), self._timer_count)
        self._timer_count += 1
        self._calls[timer.number] = callback
        heapq.heappush(self._timers, (timer.t_ns, timer.number))
        return timer

    def call_after(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        return self.call_at(self._now_ns + delay_ns, callback)

    def cancel(self, timer: Timer) -> None:
        """Take a timer back; nothing happens when it has fired or was cancelled."""
        if self._calls.pop(timer.number, None) and len(self._timers) > 64 + 2 * len(self._calls):
            # Cancelled timers stay in the heap until they are due: sweep before they outnumber the others.
            self._timers = [entry for entry in self._timers if entry[1] in self._calls]
            heapq.heapify(self._timers)

    def open_udp(self, port: int, on_datagram: Callable[[Datagram], None]) -> UdpSocket:
        """Bind a port (0: the next free one). ValueError when it is taken."""
        if port == 0:
            port = next(p for p in range(EPHEMERAL_PORT, 65536) if p not in self._sockets)
        if not 0 < port < 65536 or port in self._sockets:
            raise ValueError(f"{self.name}: UDP port {port} is taken or out of range")
        self._sockets[port] = on_datagram
        return UdpSocket(self, port)

    def join(self, group: str) -> None:
        """Receive what is sent to a multicast group."""
        if not is_multicast(group):
            raise ValueError(f"{group} is no multicast group")
        self._groups.add(group)
        self._addresses.add(ip_to_bytes(group))

    def send_udp(self, sport: int, dst: str, dport: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        """Send a datagram from `sport`; ValueError when it does not fit into one packet."""
        if len(payload) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"{self.name}: a datagram takes at most {MAX_DATAGRAM_BYTES} bytes, not {len(payload)}")
        self.send_packet(dst, Protocol.UDP, Udp(sport, dport, payload).pack(self.ip, dst), ttl=ttl)

    def send_packet(self, dst: str, proto: int, payload: bytes, *, ttl: int = DEFAULT_TTL) -> None:
        """Send an IPv4 packet: to the group, the broadcast, the neighbour, or the gateway."""
        self._packet_id = (self._packet_id + 1) & 0xFFFF
        packet = Ipv4(self.ip, dst, proto, payload, ttl=ttl, id=self._packet_id).pack()
        if is_multicast(dst):
            self.transmit(multicast_mac(dst), EtherType.IPV4, packet)
        elif dst in (self._broadcast, "255.255.255.255"):
            self.transmit(BROADCAST, EtherType.IPV4, packet)
        else:
            hop = dst if self._is_neighbour(dst) else self.gateway
            if hop is None:
                self.counters.no_route += 1
            else:
                self._neighbours.send(hop, packet)

    def transmit(self, dst_mac: str, ethertype: int, payload: bytes) -> None:
        """Send a frame from this host's address."""
        self.transmit_frame(Ethernet(dst_mac, self.mac, ethertype, payload).pack())

    def transmit_frame(self, frame: bytes) -> None:
        """Send a finished frame, as it is."""
        self.counters.sent += 1
        self._result.frames.append((self._now_ns, frame))

    # What the driver calls (api.SteppableNode).

    def deliver(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives; times never go back."""
        if t_ns < self._now_ns or (self._inputs and t_ns < self._inputs[-1][0]):
            raise ValueError(f"{self.name}: an input at {t_ns} ns comes too late")
        self._inputs.append((t_ns, frame))

    def advance(self, horizon_ns: int) -> StepResult:
        """Timers and inputs in the order of their times; at equal times, timers come first."""
        while True:
            timer_ns = self._next_timer_ns()
            input_ns = self._inputs[0][0] if self._inputs else None
            if timer_ns is not None and timer_ns <= horizon_ns and (input_ns is None or timer_ns <= input_ns):
                self._now_ns = timer_ns
                _, number = heapq.heappop(self._timers)
                self._calls.pop(number)()
            elif input_ns is not None and input_ns <= horizon_ns:
                self._now_ns, frame = self._inputs.popleft()
                self._receive(frame)
            else:
                break
        self._now_ns = max(self._now_ns, horizon_ns)
        result, self._result = self._result, StepResult([], [])
        return result

    def next_deadline_ns(self) -> int | None:
        due = [
            t_ns for t_ns in (self._next_timer_ns(), self._inputs[0][0] if self._inputs else None) if t_ns is not None
        ]
        return min(due, default=None)

    # Inside.

    def _next_timer_ns(self) -> int | None:
        while self._timers and self._timers[0][1] not in self._calls:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _is_neighbour(self, address: str) -> bool:
        return not (ip_to_int(address) ^ ip_to_int(self.ip)) & self._mask

    def _receive(self, frame: bytes) -> None:
        self.counters.received += 1
        plain = plain_datagram(frame)
        if plain is not None and plain.dst in self._addresses and (frame[0] & 1 or frame[:6] == self._mac_bytes):
            self._hand_out(ip_to_text(plain.src), plain.sport, ip_to_text(plain.dst), plain.dport, plain.payload)
            return
        try:
            self._dispatch(frame)
        except MalformedError as error:
            reason = error.reason.value
            self.counters.malformed[reason] = self.counters.malformed.get(reason, 0) + 1

    def _dispatch(self, frame: bytes) -> None:
        eth = Ethernet.parse(frame)
        if eth.type == EtherType.ARP:
            self._on_arp(arp.Arp.parse(eth.payload))
        elif eth.type == EtherType.IPV4 and (eth.dst == self.mac or int(eth.dst[:2], 16) & 1):
            self._on_packet(Ipv4.parse(eth.payload))
        else:
            self.counters.not_for_us += 1

    def _on_arp(self, message: arp.Arp) -> None:
        for_us = message.target_ip == self.ip
        self._neighbours.learn(message.sender_ip, message.sender_mac, new=for_us)
        if for_us and message.op == arp.REQUEST:
            self.transmit_frame(arp.reply_frame(self.mac, message))

    def _on_packet(self, packet: Ipv4) -> None:
        if packet.dst not in (self.ip, self._broadcast, "255.255.255.255") and packet.dst not in self._groups:
            self.counters.not_for_us += 1
        elif packet.proto == Protocol.UDP and not packet.fragment:
            self._on_udp(packet)
        elif packet.proto == Protocol.ICMP and not packet.fragment:
            message = Icmp.parse(packet.payload)
            if message.type == ECHO_REQUEST and packet.dst == self.ip:
                self.send_packet(packet.src, Protocol.ICMP, message.reply().pack())

    def _on_udp(self, packet: Ipv4) -> None:
        udp = Udp.parse(packet.payload, packet.src, packet.dst)
        self._hand_out(packet.src, udp.sport, packet.dst, udp.dport, udp.payload)

    def _hand_out(self, src: str, sport: int, dst: str, dport: int, payload: bytes) -> None:
        handler = self._sockets.get(dport)
        if handler is None:
            self.counters.closed_port += 1
        else:
            handler(Datagram(self._now_ns, src, sport, dst, dport, payload))
