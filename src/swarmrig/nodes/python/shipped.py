"""The models that come with the rig, by the names that scenarios call them."""

from __future__ import annotations

_HOME = "swarmrig.nodes.python.models"
SHIPPED = {
    "broker": f"{_HOME}.broker:Broker",
    "cloud": f"{_HOME}.cloud:Cloud",
    "gateway": f"{_HOME}.gateway:Gateway",
    "mqtt-sensor": f"{_HOME}.mqtt_sensor:MqttSensor",
    "player": f"{_HOME}.player:Player",
    "sensor": f"{_HOME}.sensor:Sensor",
}
