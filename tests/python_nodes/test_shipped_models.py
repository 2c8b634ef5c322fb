"""The models that come with the rig: what they measure, pass on, count and publish."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from wired import MS, S, failures, node_of, wired

from swarmrig.model.network import Impairment
from swarmrig.net.factory import load_object
from swarmrig.nodes.python import Model
from swarmrig.nodes.python.models.broker import Broker
from swarmrig.nodes.python.models.cloud import Cloud
from swarmrig.nodes.python.models.gateway import Gateway
from swarmrig.nodes.python.models.mqtt_sensor import MqttSensor
from swarmrig.nodes.python.models.readings import ANY_KIND, KINDS, Wandering
from swarmrig.nodes.python.models.sensor import Sensor
from swarmrig.nodes.python.mqtt import Publish
from swarmrig.nodes.python.mqtt_client import RETRY_NS, MqttClient
from swarmrig.nodes.python.shipped import SHIPPED

SENSOR = {"to": "gw", "period": S, "start": 100 * MS}


def swarm(gateway: dict[str, Any], impairment: Impairment = Impairment(), **sensor: Any) -> Any:
    return wired(
        {"gw": Gateway, "cloud": Cloud, "s1": Sensor, "s2": Sensor},
        impairment,
        settings={"gw": gateway, "s1": {**SENSOR, **sensor}, "s2": {**SENSOR, **sensor}},
    )


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_each_is_a_model_that_tells_of_itself(name: str) -> None:
    found = load_object(SHIPPED[name])
    assert issubclass(found, Model)
    assert found.__doc__


@pytest.mark.parametrize("kind", [*KINDS, "anything"])
def test_values_wander_around_their_mean_within_their_limits(kind: str) -> None:
    wandering, quality = Wandering(kind, random.Random(1)), KINDS.get(kind, ANY_KIND)
    values = [wandering.step() for _ in range(3000)]
    assert all(quality.low <= value <= quality.high for value in values)
    assert abs(sum(values) / len(values) - quality.mean) < quality.spread
    assert len(set(values)) > 1


def test_a_gateway_passes_messages_on_as_they_come() -> None:
    engine = swarm({"to": "cloud"})
    engine.advance(3 * S)
    cloud = node_of(engine, "cloud")
    first = cloud.kept[0]
    assert first.payload["via"] == "gw"
    assert first.payload["src"] in ("s1", "s2")
    assert first.payload["payload"]["seq"] == 0
    assert cloud.metrics["messages"] == cloud.metrics["messages_reading"] == 6
    assert cloud.metrics["latency_us_max"] == 10_000
    assert node_of(engine, "gw").metrics == {"received": 6, "forwarded": 6}


def test_a_gateway_sums_up() -> None:
    engine = swarm({"to": "cloud", "period": 5 * S}, sensors=["temperature", "humidity"])
    engine.advance(6 * S)
    (message,) = node_of(engine, "cloud").kept
    assert message.type == "aggregate"
    assert sorted(message.payload["nodes"]) == ["s1", "s2"]
    temperature = message.payload["nodes"]["s1"]["temperature"]
    assert temperature["count"] == 5
    assert temperature["min"] <= temperature["mean"] <= temperature["max"]


def test_a_gateway_without_upstream_counts() -> None:
    engine = swarm({})
    engine.advance(3 * S)
    assert node_of(engine, "gw").metrics == {"received": 6}


def test_readings_that_are_none_are_counted() -> None:
    class Odd(Model):
        def on_start(self) -> None:
            for payload in (1, {"values": [1]}, {"values": {"a": "b"}}, {"values": {"a": True}}):
                self.send("gw", payload)

    engine = wired({"gw": Gateway, "cloud": Cloud, "odd": Odd}, settings={"gw": {"to": "cloud", "period": S}})
    engine.advance(S // 2)
    assert failures(engine) == []
    assert node_of(engine, "gw").metrics["unreadable"] >= 3


def test_a_sensor_without_addressee_says_what_to_do() -> None:
    engine = wired({"s": Sensor})
    engine.advance(S)
    assert "say `settings: {to: NODE}`" in failures(engine)[0]


class Listener(Model):
    """Subscribes to `wanted` at the broker, and keeps what comes."""

    wanted = "#"
    qos = 1

    def on_start(self) -> None:
        self.heard: list[Publish] = []
        self.client = MqttClient(self, "broker", keep_alive_s=10)
        self.client.subscribe(self.wanted, self.heard.append, qos=self.qos)


def listener(wanted: str, qos: int = 1) -> type[Listener]:
    return type("AListener", (Listener,), {"wanted": wanted, "qos": qos})


def mqtt_swarm(impairment: Impairment = Impairment(), **more: Any) -> Any:
    told = {"broker": "broker", "period": S, "start": 500 * MS, "qos": 1}
    return wired(
        {"broker": Broker, "s1": MqttSensor, "s2": MqttSensor, "all": listener("sensors/#"), "one": listener("+/s1"),
         **more},
        impairment, settings={"s1": told, "s2": {**told, "retain": True, "qos": 0}},
    )  # fmt: skip


def test_readings_get_from_sensors_through_the_broker_to_who_wants_them() -> None:
    engine = mqtt_swarm()
    engine.advance(10 * S)
    assert failures(engine) == []
    everything, one = node_of(engine, "all").heard, node_of(engine, "one").heard
    assert {message.topic for message in everything} == {"sensors/s1", "sensors/s2"}
    assert [json.loads(message.payload)["seq"] for message in one] == list(range(10))
    assert {message.qos for message in one} == {1}
    assert node_of(engine, "s1").report()["metrics"] == {
        "mqtt_connected": 1, "readings": 10, "mqtt_acknowledged": 10, "unacknowledged": 0,
    }  # fmt: skip
    assert node_of(engine, "broker").metrics["clients"] == 4


def test_nothing_of_quality_one_is_lost_on_bad_links() -> None:
    engine = mqtt_swarm(Impairment(loss=0.1, reorder=0.1, duplicate=0.05, corrupt=0.02))
    engine.advance(60 * S)
    engine.agenda.drop_timers()
    seen = [json.loads(message.payload)["seq"] for message in node_of(engine, "one").heard]
    assert seen == list(range(len(seen)))
    assert len(seen) > 50


def test_a_client_comes_back_after_a_cut_and_publishes_what_was_not_confirmed() -> None:
    engine = mqtt_swarm()
    engine.advance(5 * S)
    engine.set_link(5 * S, "lan--s1", {"up": False})
    node_of(engine, "s1")._client._connection.abort()
    engine.advance(8 * S)
    engine.set_link(8 * S, "lan--s1", {"up": True})
    engine.advance(60 * S)
    seen = {json.loads(message.payload)["seq"] for message in node_of(engine, "one").heard}
    assert seen == set(range(60))
    assert node_of(engine, "s1").metrics["mqtt_connected"] == 2


def test_the_last_reading_is_retained_for_who_comes_later() -> None:
    class Late(Listener):
        def on_start(self) -> None:
            self.heard = []
            self.call_at(5 * S + 700 * MS, super().on_start)

    engine = mqtt_swarm(late=Late)
    engine.advance(6 * S)
    (message,) = node_of(engine, "late").heard
    assert (message.topic, message.retain) == ("sensors/s2", True)


def test_a_client_without_a_broker_tries_again_and_again() -> None:
    class Nobody(Model):
        pass

    engine = wired({"broker": Nobody, "s1": MqttSensor}, settings={"s1": {"broker": "broker", "start": 0}})
    engine.advance(RETRY_NS * 8)
    assert failures(engine) == []
    lines = [text for _, text in engine.nodes["s1"].take_console()]
    assert len([text for text in lines if "refused" in text]) == 4, "after 0, 1, 3 and 7 seconds"
