"""What sensors measure: values that wander like those of real sensors, from chance that is given."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quality:
    """What a kind of sensor measures: around `mean`, about `spread` to either side, never outside of the limits."""

    mean: float
    spread: float
    low: float
    high: float
    unit: str
    digits: int = 2


KINDS = {
    "temperature": Quality(21.0, 2.0, -40.0, 125.0, "°C"),
    "humidity": Quality(45.0, 8.0, 0.0, 100.0, "%"),
    "pressure": Quality(1013.0, 6.0, 300.0, 1100.0, "hPa", 1),
    "light": Quality(320.0, 120.0, 0.0, 65_535.0, "lx", 0),
    "co2": Quality(650.0, 150.0, 400.0, 5_000.0, "ppm", 0),
    "sound": Quality(42.0, 6.0, 0.0, 140.0, "dB", 1),
    "motion": Quality(0.3, 0.4, 0.0, 1.0, "", 0),
    "acceleration": Quality(0.0, 0.2, -16.0, 16.0, "g", 3),
    "voltage": Quality(3.3, 0.05, 0.0, 5.0, "V", 3),
    "battery": Quality(80.0, 5.0, 0.0, 100.0, "%", 1),
}
ANY_KIND = Quality(0.5, 0.2, 0.0, 1.0, "", 4)
"""A sensor of any other name."""
_PULL = 0.2
"""How much of its distance to the mean a value makes up for with each step."""


class Wandering:
    """A value that wanders around its mean: an autoregressive process of order one, whose standard deviation is
    `spread`."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        self.quality = KINDS.get(kind, ANY_KIND)
        self._chance = chance
        self._noise = self.quality.spread * (1 - (1 - _PULL) ** 2) ** 0.5
        self._value = chance.gauss(self.quality.mean, self.quality.spread)

    def step(self) -> float:
        """The next value."""
        quality = self.quality
        self._value += _PULL * (quality.mean - self._value) + self._chance.gauss(0.0, self._noise)
        return round(min(max(self._value, quality.low), quality.high), quality.digits)
