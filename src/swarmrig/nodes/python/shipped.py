"""The models that come with the rig, by the names that scenarios call them."""

from __future__ import annotations

_HOME = "swarmrig.nodes.python.models"
SHIPPED = {
    "cloud": f"{_HOME}.cloud:Cloud",
    "gateway": f"{_HOME}.gateway:Gateway",
    "sensor": f"{_HOME}.sensor:Sensor",
}
