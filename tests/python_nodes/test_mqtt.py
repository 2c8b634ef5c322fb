"""MQTT 3.1.1: packets on the wire, topic filters, and a broker that is talked to in bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import contextlib

from wired import MS, S, failures, ip_of, node_of, wired

from swarmrig.nodes.python import mqtt
from swarmrig.nodes.python.host import Host
from swarmrig.nodes.python.models.broker import Broker
from swarmrig.nodes.python.mqtt import Connect, Kind, MqttError, Packet, Publish, Stream, Subscribe, Unsubscribe

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
TOPIC = TEXT.filter(lambda text: text and "+" not in text and "#" not in text)
PUBLISH = st.builds(
    lambda topic, payload, qos, retain, number: Publish(topic, payload, qos, retain, number=number if qos else 0),
    TOPIC, st.binary(max_size=300), st.integers(0, 1), st.booleans(), st.integers(1, 65535),
)  # fmt: skip


def one(data: bytes) -> Packet:
    (packet,) = Stream().feed(data)
    return packet


@given(PUBLISH)
def test_messages_survive_packing(message: Publish) -> None:
    assert Publish.parse(one(message.pack())) == message


@given(TEXT, st.integers(0, 65535), st.booleans(), st.none() | PUBLISH, st.none() | TEXT, st.none() | st.binary())
def test_connects_survive_packing(
    client: str, keep_alive: int, clean: bool, will: Publish | None, user: str | None, password: bytes | None
) -> None:
    will = None if will is None else Publish(will.topic, will.payload, will.qos, will.retain)
    connect = Connect(client, keep_alive, clean, will, user, password)
    assert Connect.parse(one(connect.pack())) == connect


@given(st.integers(0, 65535), st.lists(st.tuples(TEXT, st.integers(0, 2)), min_size=1, max_size=5))
def test_subscriptions_survive_packing(number: int, filters: list[tuple[str, int]]) -> None:
    subscribe = Subscribe(number, tuple(filters))
    assert Subscribe.parse(one(subscribe.pack())) == subscribe
    unsubscribe = Unsubscribe(number, tuple(text for text, _ in filters))
    assert Unsubscribe.parse(one(unsubscribe.pack())) == unsubscribe


@given(st.lists(PUBLISH, max_size=5), st.lists(st.integers(0, 400), max_size=10))
def test_any_pieces_make_the_same_packets(messages: list[Publish], cuts: list[int]) -> None:
    data = b"".join(message.pack() for message in messages)
    stream, packets, at = Stream(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        packets += stream.feed(data[at : max(cut, at)])
        at = max(cut, at)
    assert [Publish.parse(packet) for packet in packets] == messages


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    parsers = (Publish.parse, Connect.parse, Subscribe.parse, Unsubscribe.parse, mqtt.number_of)
    try:
        packets = Stream().feed(data)
    except MqttError:
        return
    for packet in packets:
        for parse in parsers:
            with contextlib.suppress(MqttError):
                parse(packet)


@pytest.mark.parametrize(
    ("wanted", "topic", "met"),
    [
        ("a/b", "a/b", True), ("a/b", "a", False), ("a", "a/b", False), ("+", "a", True), ("+", "a/b", False),
        ("a/+", "a/", True), ("a/+/c", "a/b/c", True), ("a/+/c", "a/b/d", False), ("#", "a/b/c", True),
        ("a/#", "a", True), ("a/#", "a/b/c", True), ("a/#", "b", False), ("/+", "/a", True), ("+/+", "/a", True),
        ("#", "$SYS/x", False), ("+/x", "$SYS/x", False), ("$SYS/#", "$SYS/x", True), ("a/+/#", "a/b", True),
    ],
)  # fmt: skip
def test_filters(wanted: str, topic: str, met: bool) -> None:
    assert mqtt.valid_filter(wanted)
    assert mqtt.matches(wanted, topic) is met


@pytest.mark.parametrize("wanted", ["", "a#", "#/a", "a/#/b", "+a", "a/b+"])
def test_what_is_no_filter(wanted: str) -> None:
    assert not mqtt.valid_filter(wanted)


class Raw(Host):
    """Talks to the broker in bytes."""

    def on_start(self) -> None:
        self.stream = Stream()
        self.packets: list[Packet] = []
        self.closed: list[str | None] = []
        self.connection = self.connect_tcp(ip_of(0), mqtt.PORT)
        self.connection.on_data = lambda data: self.packets.extend(self.stream.feed(data))
        self.connection.on_close = self.closed.append


def talk(*pieces: tuple[str, bytes], until_ns: int = S) -> tuple[Broker, dict[str, Raw]]:
    """The broker and its clients, after one after another has said his piece, a tenth of a second apart."""
    names = sorted({name for name, _ in pieces})
    engine = wired({"broker": Broker, **dict.fromkeys(names, Raw)})
    now_ns = 100 * MS
    for name, data in pieces:
        engine.advance(now_ns)
        node_of(engine, name).connection.send(data)
        now_ns += 100 * MS
    engine.advance(now_ns + until_ns)
    assert failures(engine) == []
    return node_of(engine, "broker"), {name: node_of(engine, name) for name in names}


def hello(name: str, **more: object) -> bytes:
    return Connect(name, **{"keep_alive_s": 0, **more}).pack()  # type: ignore[arg-type]


def test_a_client_is_welcomed_answered_and_let_go() -> None:
    broker, clients = talk(
        ("a", hello("a")), ("a", mqtt.PINGREQ), ("a", Subscribe(5, (("x/#", 2), ("y", 0), ("#bad", 1))).pack()),
        ("a", Publish("x/1", b"hi", 1, number=9).pack()), ("a", Unsubscribe(6, ("x/#",)).pack()),
        ("a", Publish("x/1", b"unheard").pack()), ("a", mqtt.DISCONNECT),
    )  # fmt: skip
    kinds = [packet.kind for packet in clients["a"].packets]
    assert kinds == [Kind.CONNACK, Kind.PINGRESP, Kind.SUBACK, Kind.PUBACK, Kind.PUBLISH, Kind.UNSUBACK]
    assert clients["a"].packets[2].body == b"\0\5\1\0\x80", "granted: 1 for 2, 0, and a failure"
    assert Publish.parse(clients["a"].packets[4]).payload == b"hi"
    assert (clients["a"].closed, broker.metrics["clients"]) == ([None], 0)


@pytest.mark.parametrize(
    "data",
    [
        mqtt.PINGREQ, b"\xff\xff\xff\xff\xff", b"\x47\x00", hello("a") + hello("a"),
        hello("a") + Packet(Kind.PUBLISH, 4, b"\0\1x\0\1two").pack(), hello("a") + Publish("a/+", b"").pack(),
        hello("a") + Packet(15, 0, b"").pack(), hello("a") + Packet(Kind.SUBSCRIBE, 2, b"\0\1").pack(),
        hello("", clean=False), hello("a", level=5),
    ],
)  # fmt: skip
def test_who_does_not_keep_to_the_protocol_is_let_go(data: bytes) -> None:
    broker, clients = talk(("a", data))
    assert clients["a"].closed == [None]
    assert broker.metrics["refused"] == 1
    assert broker.metrics["clients"] == 0


def test_a_protocol_of_another_level_is_told_so() -> None:
    _, clients = talk(("a", hello("a", level=5)))
    assert clients["a"].packets[0].body == b"\0\1"


def test_a_will_is_published_unless_it_was_taken_back() -> None:
    will = Publish("gone", b"a")
    listen = Subscribe(1, (("gone", 0),)).pack()
    for last, expected in ((b"\xff\xff\xff\xff\xff", 1), (mqtt.DISCONNECT, 0)):
        _, clients = talk(("b", hello("b") + listen), ("a", hello("a", will=will)), ("a", last))
        assert sum(packet.kind == Kind.PUBLISH for packet in clients["b"].packets) == expected


def test_of_two_clients_with_one_name_the_first_has_to_go() -> None:
    broker, clients = talk(("a", hello("same")), ("b", hello("same")))
    assert (clients["a"].closed, clients["b"].closed) == ([None], [])
    assert broker.metrics["clients"] == 1


def test_who_is_silent_for_too_long_is_let_go() -> None:
    _, clients = talk(("a", hello("a", keep_alive_s=2)), ("b", hello("b", keep_alive_s=2)), until_ns=2 * S)
    assert clients["a"].closed == []
    _, clients = talk(("a", hello("a", keep_alive_s=2)), until_ns=4 * S)
    assert clients["a"].closed == [None]


def test_a_retained_message_is_forgotten_when_an_empty_one_comes() -> None:
    broker, _ = talk(("a", hello("a")), ("a", Publish("x", b"1", retain=True).pack()))
    assert list(broker.retained) == ["x"]
    broker, _ = talk(
        ("a", hello("a")), ("a", Publish("x", b"1", retain=True).pack()), ("a", Publish("x", b"", retain=True).pack())
    )
    assert broker.retained == {}
