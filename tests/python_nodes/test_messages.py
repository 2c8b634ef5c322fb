"""Messages on the wire, and the datagrams that carry them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import contextlib

from wired import MS, S, failures, ip_of, node_of, wired

from swarmrig.model.network import Impairment
from swarmrig.nodes.python import MESSAGE_PORT, Datagram, Message, Model
from swarmrig.nodes.python.flow import Flow
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp, plain_datagram

PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Hears(Model):
    """Keeps what it hears."""

    def on_start(self) -> None:
        self.heard: list[Message] = []

    def on_message(self, message: Message) -> None:
        self.heard.append(message)


class Says(Model):
    """Says what `text` and `size` hold, to the first node."""

    payload: Any = None
    size = 0

    def on_start(self) -> None:
        self.socket = self.open_udp(5000, lambda _: None)
        self.call_at(10 * MS, lambda: self.send("hub", self.payload, type="reading", size_bytes=self.size))


def parsed(data: bytes) -> Message:
    return Message.parse(data, src="who", dst="me", time_us=7)


@given(st.text(), st.integers(0, 2**60), st.text(), st.text(), PAYLOADS, st.integers(0, 300))
def test_what_is_packed_is_parsed_with_its_fields_or_from_its_bytes(
    kind: str, time_us: int, src: str, dst: str, payload: Any, size: int
) -> None:
    message = Message(kind, time_us, src, dst, payload, size)
    packed = message.pack()
    assert parsed(packed) == parsed(bytes(packed)) == message
    assert len(packed) >= size


def test_the_bytes_are_as_documented() -> None:
    packed = Message("reading", 1500000, "s1", "hub", {"celsius": 21.5}).pack()
    expected = b'{"type":"reading","time_us":1500000,"src":"s1","dst":"hub","size_bytes":16,"payload":{"celsius":21.5}}'
    assert packed == expected
    assert json.loads(packed)["payload"] == {"celsius": 21.5}


def test_a_size_beyond_the_payload_is_made_up_by_spaces() -> None:
    small, large = Message("a", 0, "s", "d", 1).pack(), Message("a", 0, "s", "d", 1, 501).pack()
    assert len(large) - len(small) == 500 + len("501") - len("1")
    assert parsed(bytes(large)).size_bytes == 501


def test_strangers_need_to_say_the_type_alone() -> None:
    assert parsed(b'{"type": "hello"}') == Message("hello", 7, "who", "me", None, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"1", b"{}", b'{"type": 1}', b'{"type":"a","src":1}', b'{"type":"a","time_us":"x"}', b"\xff",
        b'{"type":"a","size_bytes":null}', b"[" * 100_000,
    ],
    ids=lambda data: data[:20].decode("latin1"),
)  # fmt: skip
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parsed(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parsed(data)


@pytest.mark.parametrize("payload", [object(), float("nan"), {1, 2}, b"bytes"])
def test_what_json_cannot_say_is_refused(payload: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        Message("a", 0, "s", "d", payload).pack()


def test_a_message_takes_the_time_of_the_way_and_belongs_to_the_receiver() -> None:
    says = type("SaysList", (Says,), {"payload": {"values": [1, 2]}})
    engine = wired({"hub": Hears, "s": says}, Impairment(latency_ns=5 * MS))
    engine.advance(20 * MS)
    (message,) = node_of(engine, "hub").heard
    assert (message.type, message.src, message.dst, message.time_us) == ("reading", "s", "hub", 10_000)
    assert node_of(engine, "hub").now_ns == 20 * MS
    message.payload["values"].append(3)
    assert says.payload == {"values": [1, 2]}, "the receiver has its own"


def test_damaged_messages_are_dropped_by_their_checksum() -> None:
    engine = wired({"hub": Hears, "s": type("SaysOne", (Says,), {"payload": 1})}, Impairment(corrupt=1.0))
    engine.advance(S)
    assert node_of(engine, "hub").heard == []
    assert failures(engine) == []


def test_datagrams_that_are_no_messages_are_counted() -> None:
    engine = wired({"hub": Hears, "s": Says})
    engine.advance(MS)
    node_of(engine, "s").socket.send(ip_of(0), MESSAGE_PORT, b"not JSON")
    engine.advance(S)
    hub = node_of(engine, "hub")
    assert hub.counters.malformed == {"message": 1}
    assert [message.payload for message in hub.heard] == [None]


@pytest.mark.parametrize(
    ("node", "payload", "error"), [("nobody", 1, "no node is called 'nobody'"), ("hub", "x" * 2000, "at most 1472")]
)
def test_what_cannot_be_sent_ends_the_sender_with_the_reason(node: str, payload: Any, error: str) -> None:
    class Wrong(Model):
        def on_start(self) -> None:
            self.send(node, payload)

    engine = wired({"hub": Hears, "s": Wrong})
    engine.advance(S)
    (trace,) = failures(engine)
    assert error in trace


@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(0, 65535), st.binary(max_size=1472))
def test_frames_of_a_conversation_are_those_of_the_layers(sport: int, dport: int, number: int, payload: bytes) -> None:
    src, dst, here, there = "10.0.1.1", "10.0.2.200", "02:00:00:00:00:01", "02:00:00:00:00:ff"
    frame = Flow(there, here, src, sport, dst, dport).frame(number, payload)
    packet = Ipv4(src, dst, Protocol.UDP, Udp(sport, dport, payload).pack(src, dst), id=number)
    assert frame == Ethernet(there, here, EtherType.IPV4, packet.pack()).pack()
    assert frame.datagram == (src, sport, dst, dport, payload)
    plain = plain_datagram(frame)
    assert plain is not None and plain.payload == payload


def test_a_datagram_is_the_same_whether_its_bytes_were_read_or_not() -> None:
    class Twice(Model):
        def on_start(self) -> None:
            self.got: list[Datagram] = []
            self.open_udp(7, self.got.append)

    engine = wired({"hub": Twice, "s": Says})
    hub = node_of(engine, "hub")
    engine.advance(0)
    frame = Flow("02:00:00:00:00:00", "02:00:00:00:00:01", ip_of(1), 9, ip_of(0), 7).frame(1, b"x")
    hub.receive(5, frame)
    hub.receive(5, bytes(frame))
    assert hub.got[0] == hub.got[1] == Datagram(5, ip_of(1), 9, ip_of(0), 7, b"x")
