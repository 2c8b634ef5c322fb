"""The model `mqtt-sensor`: measures as `sensor` does, and publishes to an MQTT broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmrig.nodes.python import mqtt
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.models.readings import Wandering
from swarmrig.nodes.python.mqtt_client import MqttClient
from swarmrig.nodes.python.settings import Duration, NodeId


class MqttSensor(Model):
    """Publishes {"seq": 0, 1, …, "values": {sensor: value}} as JSON. The broker is a node of any kind: the model
    `broker`, or a real one in a container.

    Metrics: `readings` (published), `mqtt_connected` (times), `mqtt_acknowledged` (of QoS 1), `unacknowledged`.
    """

    @dataclass(frozen=True)
    class Settings:
        broker: NodeId
        """The node of the broker."""
        port: int = mqtt.PORT
        """Its TCP port."""
        topic: str = "sensors/{id}"
        """Where to; {id} is the node's id."""
        qos: int = 0
        """0 or 1."""
        retain: bool = False
        """Have the broker keep the last reading."""
        sensors: tuple[str, ...] = ("temperature",)
        """What it measures, as of `sensor`."""
        period: Duration = 1_000_000_000
        """How often."""
        start: Duration | None = None
        """When it measures first. Default: at a moment of its first period that is its own."""

    settings: Settings

    @classmethod
    def examine(cls, settings: Settings) -> None:
        if settings.qos not in (0, 1):
            raise ValueError(f"qos: 0 or 1, not {settings.qos}")

    def on_start(self) -> None:
        told = self.settings
        self._topic = told.topic.replace("{id}", self.name)
        self._values = {kind: Wandering(kind, self.random) for kind in told.sensors}
        start = self.random.randrange(told.period) if told.start is None else told.start
        self._client: MqttClient | None = None
        self.every(told.period, self._measure, first_ns=start)
        self.log(f"mqtt-sensor: {', '.join(self._values)} to {self._topic} at {told.broker}")

    def _measure(self) -> None:
        if self._client is None:  # not before: hundreds that ask for the broker in one instant ask each other, too
            self._client = MqttClient(self, self.settings.broker, port=self.settings.port)
        seq = int(self.metrics.get("readings", 0))
        reading = {"seq": seq, "values": {kind: value.step() for kind, value in self._values.items()}}
        data = json.dumps(reading, separators=(",", ":")).encode()
        self._client.publish(self._topic, data, qos=self.settings.qos, retain=self.settings.retain)
        self.count("readings")

    def report(self) -> Mapping[str, Any]:
        self.metrics["unacknowledged"] = 0 if self._client is None else self._client.unacknowledged
        return super().report()
