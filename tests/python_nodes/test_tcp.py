"""TCP between Python hosts: everything arrives, in order, whatever the links do; and it ends as it should."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from wired import MS, S, failures, ip_of, node_of, wired

from swarmrig.model.network import Impairment
from swarmrig.nodes.python.host import Host
from swarmrig.nodes.python.tcp import MSS, OPENING_TRIES, Connection, State
from swarmrig.wire.malformed import MalformedError
from swarmrig.wire.tcp import ACK, FIN, PSH, SYN, Tcp

PORT = 80


class Server(Host):
    """Echoes, in capitals."""

    def on_start(self) -> None:
        self.connections: list[Connection] = []
        self.heard = b""
        self.closed: list[str | None] = []
        self.listen_tcp(PORT, self.welcome)

    def welcome(self, connection: Connection) -> None:
        self.connections.append(connection)
        connection.on_data = lambda data: self.answer(connection, data)
        connection.on_close = self.closed.append

    def answer(self, connection: Connection, data: bytes) -> None:
        self.heard += data
        connection.send(data.upper())


class Client(Host):
    """Sends `text` as soon as it is connected, and ends when it has it back."""

    text = b"hello"
    port = PORT

    def on_start(self) -> None:
        self.heard = b""
        self.closed: list[str | None] = []
        self.connected_ns: int | None = None
        self.connection = self.connect_tcp(ip_of(0), self.port)
        self.connection.on_connect = self.begin
        self.connection.on_data = self.hear
        self.connection.on_close = self.closed.append

    def begin(self) -> None:
        self.connected_ns = self.now_ns
        self.connection.send(self.text)

    def hear(self, data: bytes) -> None:
        self.heard += data
        if len(self.heard) == len(self.text):
            self.connection.close()


def client(text: bytes = b"hello", port: int = PORT) -> type[Client]:
    return type("AClient", (Client,), {"text": text, "port": port})


def talk(impairment: Impairment, text: bytes, until_ns: int, seed: int = 1) -> tuple[Any, Any]:
    engine = wired({"server": Server, "client": client(text)}, impairment, seed=seed)
    engine.advance(until_ns)
    assert failures(engine) == []
    return node_of(engine, "server"), node_of(engine, "client")


def test_what_is_said_is_heard_and_both_end_in_order() -> None:
    server, one = talk(Impairment(latency_ns=5 * MS), b"hello", S)
    assert (server.heard, one.heard) == (b"hello", b"HELLO")
    assert one.connected_ns == 40 * MS - 20 * MS, "a round trip: two links each way"
    assert (server.closed, one.closed) == ([None], [None])
    assert one.connection.retransmissions == 0


def test_connections_are_forgotten_when_they_are_over() -> None:
    server, one = talk(Impairment(latency_ns=5 * MS), b"hello", 10 * S)
    assert {server.connections[0].state, one.connection.state} == {State.CLOSED}
    assert one._Host__tcp._connections == server._Host__tcp._connections == {}


@given(
    st.integers(0, 1000),
    st.fixed_dictionaries(
        {
            "loss": st.sampled_from([0.0, 0.05, 0.2]),
            "duplicate": st.sampled_from([0.0, 0.1]),
            "reorder": st.sampled_from([0.0, 0.2]),
            "corrupt": st.sampled_from([0.0, 0.05]),
            "jitter_ns": st.sampled_from([0, 3 * MS]),
            "rate_bps": st.sampled_from([None, 10_000_000]),
        }
    ),
    st.integers(0, 60_000),
)
@settings(max_examples=25)
def test_everything_arrives_whatever_the_links_do(seed: int, faults: dict[str, Any], size: int) -> None:
    text = random.Random(seed).randbytes(size) or b"x"
    server, one = talk(Impairment(latency_ns=5 * MS, **faults), text, 7200 * S, seed)
    assert server.heard == text
    assert one.heard == text.upper()
    assert (server.closed, one.closed) == ([None], [None])


def test_a_full_queue_slows_the_sender_down() -> None:
    text = bytes(300_000)
    narrow = Impairment(latency_ns=5 * MS, rate_bps=2_000_000, queue_bytes=20_000)
    server, one = talk(narrow, text, 30 * S)
    assert len(server.heard) == len(text)
    assert one.connection.retransmissions + server.connections[0].retransmissions > 0


def test_a_closed_port_refuses() -> None:
    engine = wired({"server": Server, "client": client(port=81)})
    engine.advance(S)
    assert node_of(engine, "client").closed == ["refused"]
    assert node_of(engine, "server").counters.closed_port == 1


def test_nobody_there_is_given_up() -> None:
    engine = wired({"server": Server, "client": client()}, Impairment(loss=1.0))
    engine.advance(500 * S)
    one = node_of(engine, "client")
    assert one.closed == ["no answer"]
    assert one.connection.retransmissions == OPENING_TRIES


def test_an_aborted_connection_is_reset() -> None:
    engine = wired({"server": Server, "client": client()})
    engine.advance(25 * MS)
    node_of(engine, "client").connection.abort()
    engine.advance(S)
    assert node_of(engine, "server").closed == ["reset by the peer"]
    with pytest.raises(ConnectionError, match="has ended"):
        node_of(engine, "client").connection.send(b"more")


def test_a_link_that_is_down_for_a_while_delays_only() -> None:
    text = bytes(range(256)) * 2000
    engine = wired({"server": Server, "client": client(text)})
    engine.advance(60 * MS)
    engine.set_link(60 * MS, "lan--client", {"up": False})
    engine.advance(3 * S)
    engine.set_link(3 * S, "lan--client", {"up": True})
    engine.advance(60 * S)
    assert node_of(engine, "server").heard == text


def test_a_closed_window_is_asked_again_until_it_opens() -> None:
    node = Host("a", {"mac": "02:00:00:00:00:01", "ip": "10.0.0.1"})
    opened: list[Connection] = []
    node.listen_tcp(PORT, opened.append)
    stack = node._Host__tcp
    sent: list[Tcp] = []
    node.send_packet = lambda dst, proto, data: sent.append(Tcp.parse(data, node.ip, dst))  # type: ignore[method-assign]

    def arrives(seq: int, flags: int, window: int, ack: int = 0, payload: bytes = b"") -> None:
        from swarmrig.wire.ipv4 import Ipv4

        segment = Tcp(9, PORT, seq, ack, flags, window, payload).pack("10.0.0.2", node.ip)
        stack.take(Ipv4("10.0.0.2", node.ip, 6, segment))

    arrives(100, SYN, 1000)
    first = sent[-1]
    assert (first.flags, first.ack, first.mss) == (SYN | ACK, 101, MSS)
    arrives(101, ACK, 0, first.seq + 1)
    opened[0].send(b"abc")
    assert len(sent) == 1, "the window is closed"
    node.advance(20 * S)
    probes = [each.payload for each in sent[1:]]
    assert probes
    assert set(probes) == {b"a"}
    arrives(101, ACK, 1000, first.seq + 1)
    assert sent[-1].payload == b"abc"


@given(st.binary(max_size=80))
def test_any_segment_is_survived(data: bytes) -> None:
    engine = wired({"server": Server, "client": client()})
    engine.advance(S // 20)
    one = node_of(engine, "client")
    one.send_packet(ip_of(0), 6, data)
    engine.advance(S)
    assert failures(engine) == []
    assert one.heard == b"HELLO"


@given(
    st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary(max_size=50),
    st.none() | st.integers(0, 65535),
)  # fmt: skip
def test_segments_survive_packing(port: int, number: int, flags: int, payload: bytes, mss: int | None) -> None:
    segment = Tcp(port, port ^ 1, number, number ^ 1, flags, port, payload, mss)
    assert Tcp.parse(segment.pack("10.0.0.1", "10.0.0.2"), "10.0.0.1", "10.0.0.2") == segment


def test_damaged_segments_are_told_by_reason() -> None:
    good = Tcp(1, 2, 3, 4, SYN | FIN | PSH, 5, b"x").pack("10.0.0.1", "10.0.0.2")
    for data, reason in ((good[:19], "shorter"), (good[:12] + b"\x40" + good[13:], "range"), (good + b"x", "checksum")):
        with pytest.raises(MalformedError, match=reason):
            Tcp.parse(data, "10.0.0.1", "10.0.0.2")
