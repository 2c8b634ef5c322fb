"""The model `broker`: an MQTT 3.1.1 broker over TCP, for clients in Python and for real ones.

QoS 0 and 1, retained messages, wills, wildcards, keep-alive. Not built: QoS 2 (subscriptions are granted 1; who
publishes with it is disconnected), sessions that outlive their connection, user names (they are not asked for).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swarmrig.api.steppable import Timer
from swarmrig.nodes.python import mqtt
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.mqtt import Connect, Kind, MqttError, Packet, Publish, Stream, Subscribe, Unsubscribe
from swarmrig.nodes.python.tcp import Connection

_NS_PER_S = 1_000_000_000


class Broker(Model):
    """Metrics: `connections` (accepted), `clients` (connected now), `published`, `delivered`, `subscriptions`,
    `retained` (topics), `refused`, `wills`."""

    @dataclass(frozen=True)
    class Settings:
        port: int = mqtt.PORT
        """The TCP port."""
        tell: bool = False
        """Say every message on the console."""

    settings: Settings

    def on_start(self) -> None:
        self.clients: dict[str, Client] = {}
        self.retained: dict[str, Publish] = {}
        self.metrics |= dict.fromkeys(("connections", "clients", "published", "delivered", "subscriptions"), 0)
        self.listen_tcp(self.settings.port, lambda connection: Client(self, connection).begin())
        self.log(f"broker: ready on {self.ip}:{self.settings.port}")

    def joined(self, client: Client) -> None:
        """A client has said who it is; one of the same name before it has to go."""
        former = self.clients.pop(client.name, None)
        if former is not None:
            former.drop("another client has its name")
        self.clients[client.name] = client
        self.metrics["clients"] = len(self.clients)
        self.log(f"broker: {client.name} connected from {client.peer}")

    def left(self, client: Client, reason: str) -> None:
        """A client is gone."""
        if self.clients.get(client.name) is client:
            del self.clients[client.name]
        self.metrics["clients"] = len(self.clients)
        self.log(f"broker: {client.name or client.peer} disconnected: {reason}")

    def publish(self, message: Publish) -> None:
        """To all who have subscribed, and to be kept if it is to be retained."""
        self.count("published")
        if self.settings.tell:
            self.log(f"broker: {message.topic}: {message.payload.decode('utf-8', 'replace')}")
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
            self.metrics["retained"] = len(self.retained)
        for client in list(self.clients.values()):
            client.hand_out(message)


class Client:
    """The broker's side of a connection."""

    def __init__(self, broker: Broker, connection: Connection) -> None:
        self.name = ""
        self.peer = f"{connection.peer[0]}:{connection.peer[1]}"
        self._broker = broker
        self._connection = connection
        self._stream = Stream()
        self._filters: dict[str, int] = {}
        self._will: Publish | None = None
        self._keep_alive_ns = 0
        self._heard_ns = broker.now_ns
        self._timer: Timer | None = None
        self._number = 0
        self._gone = False
        self._handlers: dict[int, Callable[[Packet], None]] = {
            Kind.PUBLISH: self._on_publish,
            Kind.PUBACK: lambda _: None,
            Kind.SUBSCRIBE: self._on_subscribe,
            Kind.UNSUBSCRIBE: self._on_unsubscribe,
            Kind.PINGREQ: lambda _: self._send(mqtt.PINGRESP),
            Kind.DISCONNECT: self._on_disconnect,
        }

    def begin(self) -> None:
        self._broker.count("connections")
        self._connection.on_data = self._on_data
        self._connection.on_close = lambda reason: self._leave(reason or "it closed the connection")

    def drop(self, reason: str) -> None:
        """End the connection; its will is published."""
        self._connection.close()
        self._leave(reason)

    def hand_out(self, message: Publish, *, retained: bool = False) -> None:
        """Send a message if it is subscribed to, with the best QoS of all filters that mean it."""
        granted = [qos for wanted, qos in self._filters.items() if mqtt.matches(wanted, message.topic)]
        if granted:
            self._deliver(message, max(granted), retained=retained)

    def _deliver(self, message: Publish, granted: int, *, retained: bool) -> None:
        qos = min(message.qos, granted)
        if qos:
            self._number = self._number % 0xFFFF + 1
        self._broker.count("delivered")
        self._send(Publish(message.topic, message.payload, qos, retained, number=self._number).pack())

    def _on_data(self, data: bytes) -> None:
        self._heard_ns = self._broker.now_ns
        try:
            for packet in self._stream.feed(data):
                if not self._gone:
                    self._take(packet)
        except MqttError as error:
            self._broker.count("refused")
            self.drop(f"it sent {error}")

    def _take(self, packet: Packet) -> None:
        if (packet.kind == Kind.CONNECT) is bool(self.name):
            raise MqttError(f"a packet of kind {packet.kind} out of turn")
        if packet.kind == Kind.CONNECT:
            self._on_connect(Connect.parse(packet))
        elif packet.kind in self._handlers:
            self._handlers[packet.kind](packet)
        else:
            raise MqttError(f"a packet of kind {packet.kind}")

    def _on_connect(self, connect: Connect) -> None:
        code = 1 if connect.level != 4 else 2 if not connect.client and not connect.clean else 0
        self._send(mqtt.connack(code))
        if code:
            self._broker.count("refused")
            self.drop(f"refused with code {code}")
            return
        self.name = connect.client or f"anonymous-{self.peer}"
        self._will = connect.will
        self._keep_alive_ns = connect.keep_alive_s * _NS_PER_S * 3 // 2
        if self._keep_alive_ns:
            self._timer = self._broker.call_after(self._keep_alive_ns, self._look)
        self._broker.joined(self)

    def _on_publish(self, packet: Packet) -> None:
        message = Publish.parse(packet)
        if message.qos:
            self._send(mqtt.acknowledged(Kind.PUBACK, message.number))
        self._broker.publish(message)

    def _on_subscribe(self, packet: Packet) -> None:
        subscribe = Subscribe.parse(packet)
        codes = bytes(min(qos, 1) if mqtt.valid_filter(each) else 0x80 for each, qos in subscribe.filters)
        self._send(mqtt.acknowledged(Kind.SUBACK, subscribe.number, codes))
        for (wanted, _), code in zip(subscribe.filters, codes, strict=True):
            if code == 0x80:
                continue
            self._filters[wanted] = code
            self._broker.count("subscriptions")
            for topic, message in self._broker.retained.items():
                if mqtt.matches(wanted, topic):
                    self._deliver(message, code, retained=True)

    def _on_unsubscribe(self, packet: Packet) -> None:
        unsubscribe = Unsubscribe.parse(packet)
        for wanted in unsubscribe.filters:
            self._filters.pop(wanted, None)
        self._send(mqtt.acknowledged(Kind.UNSUBACK, unsubscribe.number))

    def _on_disconnect(self, _: Packet) -> None:
        self._will = None
        self.drop("it said so")

    def _look(self) -> None:
        """Has it been silent for more than one and a half of its keep-alive time?"""
        due_ns = self._heard_ns + self._keep_alive_ns
        if self._broker.now_ns >= due_ns:
            self.drop("it said nothing for too long")
        else:
            self._timer = self._broker.call_at(due_ns, self._look)

    def _send(self, data: bytes) -> None:
        if not self._gone:
            self._connection.send(data)

    def _leave(self, reason: str) -> None:
        if self._gone:
            return
        self._gone = True
        if self._timer is not None:
            self._broker.cancel(self._timer)
        self._broker.left(self, reason)
        if self._will is not None:
            self._broker.count("wills")
            self._broker.publish(self._will)
