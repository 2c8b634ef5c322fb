"""The TCP connections of a Python host: who listens, who connects, and what belongs to nobody is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from swarmrig.nodes.python.tcp import SEQUENCES, Connection, State
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.tcp import ACK, RST, SYN, Tcp

if TYPE_CHECKING:
    from swarmrig.nodes.python.host import Host

EPHEMERAL_PORT = 49152


class TcpStack:
    """The connections of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._listeners: dict[int, Callable[[Connection], None]] = {}
        self._connections: dict[tuple[int, str, int], Connection] = {}
        self._made = 0

    def listen(self, port: int, on_connection: Callable[[Connection], None]) -> None:
        """See Host.listen_tcp."""
        if not 0 < port < 65536 or port in self._listeners:
            raise ValueError(f"{self.host.name}: TCP port {port} is taken or out of range")
        self._listeners[port] = on_connection

    def connect(self, dst: str, dport: int) -> Connection:
        """See Host.connect_tcp."""
        taken = {port for port, ip, peer in self._connections if (ip, peer) == (dst, dport)}
        span = 65536 - EPHEMERAL_PORT
        ports = (EPHEMERAL_PORT + (self._made + each) % span for each in range(span))
        port = next(each for each in ports if each not in taken and each not in self._listeners)
        connection = self._make(port, (dst, dport), State.SYN_SENT)
        self.host.call_at(self.host.now_ns, connection.begin)
        return connection

    def take(self, packet: Ipv4) -> None:
        """A packet with a segment has arrived. MalformedError when that cannot be read."""
        segment = Tcp.parse(packet.payload, packet.src, packet.dst)
        key = segment.dport, packet.src, segment.sport
        connection = self._connections.get(key)
        if connection is not None and connection.state is State.TIME_WAIT and segment.flags & (SYN | ACK) == SYN:
            connection.forget()
            connection = None
        if connection is not None:
            connection.take(segment)
        elif segment.flags & (SYN | ACK | RST) == SYN and segment.dport in self._listeners:
            self._make(segment.dport, (packet.src, segment.sport), State.SYN_RECEIVED).accept(segment)
        elif not segment.flags & RST:
            self._refuse(packet.src, segment)

    def accepted(self, connection: Connection) -> None:
        """Tell who listens."""
        self._listeners[connection.port](connection)

    def remove(self, connection: Connection) -> None:
        key = (connection.port, *connection.peer)
        if self._connections.get(key) is connection:
            del self._connections[key]

    def _make(self, port: int, peer: tuple[str, int], state: State) -> Connection:
        self._made += 1
        first = zlib.crc32(f"{self.host.name} {port} {peer} {self._made}".encode())
        connection = self._connections[(port, *peer)] = Connection(self, port, peer, state, first)
        return connection

    def _refuse(self, src: str, segment: Tcp) -> None:
        self.host.counters.closed_port += 1
        if segment.flags & ACK:
            answer = Tcp(segment.dport, segment.sport, segment.ack, 0, RST, 0)
        else:
            ack = (segment.seq + segment.length) % SEQUENCES
            answer = Tcp(segment.dport, segment.sport, 0, ack, RST | ACK, 0)
        self.host.send_packet(src, Protocol.TCP, answer.pack(self.host.ip, src))
