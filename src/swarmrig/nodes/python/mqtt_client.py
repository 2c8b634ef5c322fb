"""An MQTT 3.1.1 client for models: it publishes and subscribes, and connects again when it has to.

def on_start(self) -> None:
    self.mqtt = MqttClient(self, "broker")
    self.mqtt.subscribe("rooms/+/light", self.on_light)

def measure(self) -> None:
    self.mqtt.publish("rooms/1/temperature", b"21.5", qos=1)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmrig.nodes.python import mqtt
from swarmrig.nodes.python.mqtt import Connect, Kind, MqttError, Packet, Publish, Stream, Subscribe

if TYPE_CHECKING:
    from swarmrig.nodes.python.model import Model
    from swarmrig.nodes.python.tcp import Connection

RETRY_NS = 1_000_000_000
"""How long after a connection has ended another one is tried; twice as long after each failure, up to MAX_RETRY_NS."""
MAX_RETRY_NS = 30_000_000_000
WAITING = 1_000
"""Messages kept while there is no connection; the oldest goes first."""
_NS_PER_S = 1_000_000_000
_FAILURE = 0x80

OnMessage = Callable[[Publish], None]


class MqttClient:
    """One client of one broker. Messages with QoS 1 are sent again, after a new connection, until they are
    acknowledged."""

    def __init__(
        self, model: Model, broker: str, *, port: int = mqtt.PORT, keep_alive_s: int = 60, will: Publish | None = None
    ) -> None:
        """`broker` is a node id. LookupError when there is no such node."""
        self._model = model
        self._address = model.address_of(broker), port
        self._hello = Connect(model.name, keep_alive_s, will=will)
        self._subscriptions: dict[str, tuple[int, OnMessage]] = {}
        self._unacknowledged: dict[int, Publish] = {}
        self._waiting: deque[Publish] = deque(maxlen=WAITING)
        self._number = 0
        self._retry_ns = RETRY_NS
        self._connection: Connection | None = None
        self.connected = False
        self._connect()

    @property
    def unacknowledged(self) -> int:
        """Messages with QoS 1 that the broker has not confirmed."""
        return len(self._unacknowledged)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Send a message, now or once there is a connection."""
        message = Publish(topic, payload, qos, retain, number=self._next_number() if qos else 0)
        if qos:
            self._unacknowledged[message.number] = message
        elif not self.connected:
            self._waiting.append(message)
        if self.connected:
            self._send(message.pack())

    def subscribe(self, wanted: str, on_message: OnMessage, *, qos: int = 0) -> None:
        """Have `on_message(publish)` called with what is published to such topics. ValueError for what is no filter."""
        if not mqtt.valid_filter(wanted):
            raise ValueError(f"{self._model.name}: {wanted!r} is no topic filter")
        self._subscriptions[wanted] = qos, on_message
        if self.connected:
            self._send(Subscribe(self._next_number(), ((wanted, qos),)).pack())

    def close(self) -> None:
        """Say goodbye, for good."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.connected:
                connection.send(mqtt.DISCONNECT)
            connection.close()
        self.connected = False

    def _connect(self) -> None:
        self._stream = Stream()
        connection = self._connection = self._model.connect_tcp(*self._address)
        connection.on_connect = lambda: connection.send(self._hello.pack())
        connection.on_data = lambda data: self._on_data(connection, data)
        connection.on_close = lambda reason: self._on_close(connection, reason)

    def _on_data(self, connection: Connection, data: bytes) -> None:
        try:
            for packet in self._stream.feed(data):
                if connection is self._connection:
                    self._take(packet)
        except MqttError as error:
            self._model.log(f"mqtt: the broker sent {error}")
            connection.abort()

    def _take(self, packet: Packet) -> None:
        if packet.kind == Kind.CONNACK:
            self._welcome(packet)
        elif packet.kind == Kind.PUBLISH:
            self._on_publish(Publish.parse(packet))
        elif packet.kind == Kind.PUBACK:
            self._unacknowledged.pop(mqtt.number_of(packet), None)
            self._model.count("mqtt_acknowledged")
        elif packet.kind == Kind.SUBACK and _FAILURE in packet.body[2:]:
            self._model.log("mqtt: the broker refuses a subscription")

    def _welcome(self, packet: Packet) -> None:
        if len(packet.body) != 2 or packet.body[1]:
            raise MqttError(f"a CONNACK that says no: {packet.body.hex()}")
        self.connected = True
        self._retry_ns = RETRY_NS
        self._model.count("mqtt_connected")
        if self._subscriptions:
            filters = tuple((wanted, qos) for wanted, (qos, _) in self._subscriptions.items())
            self._send(Subscribe(self._next_number(), filters).pack())
        for message in self._unacknowledged.values():
            self._send(replace(message, duplicate=True).pack())
        while self._waiting:
            self._send(self._waiting.popleft().pack())
        self._keep_alive()

    def _on_publish(self, message: Publish) -> None:
        if message.qos:
            self._send(mqtt.acknowledged(Kind.PUBACK, message.number))
        for wanted, (_, on_message) in list(self._subscriptions.items()):
            if mqtt.matches(wanted, message.topic):
                on_message(message)

    def _keep_alive(self) -> None:
        """Ask for a sign of life twice in the time that the broker allows for silence."""
        connection, period_ns = self._connection, self._hello.keep_alive_s * _NS_PER_S // 2

        def ping() -> None:
            if connection is self._connection and self.connected:
                self._send(mqtt.PINGREQ)
                self._model.call_after(period_ns, ping)

        if period_ns:
            self._model.call_after(period_ns, ping)

    def _on_close(self, connection: Connection, reason: str | None) -> None:
        if connection is not self._connection:
            return
        self.connected = False
        self._connection = None
        self._model.log(f"mqtt: the connection to the broker has ended: {reason or 'it closed it'}")
        self._model.call_after(self._retry_ns, self._connect)
        self._retry_ns = min(2 * self._retry_ns, MAX_RETRY_NS)

    def _send(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.send(data)

    def _next_number(self) -> int:
        """A packet identifier that is not in use."""
        while True:
            self._number = self._number % 0xFFFF + 1
            if self._number not in self._unacknowledged:
                return self._number
