"""The model `sensor`: measures again and again, and sends what it has measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.models.inference import RESULT, Inference, check_inference
from swarmrig.nodes.python.models.readings import Wandering
from swarmrig.nodes.python.settings import Duration, NodeId


class Sensor(Model):
    """Sends messages of type `reading`, with the payload {"seq": 0, 1, …, "values": {sensor: value}}.

    With `inference` it judges what it measures, marks its readings as `judged`, and sends what it found in messages of
    type `inference`: {"src", "seq", "sensor", "label", "score"}.

    Metrics: `readings` (messages sent), and those of `inference.Inference`.
    """

    @dataclass(frozen=True)
    class Settings:
        to: NodeId = ""
        """Whom it sends to. Default: the coordinator, else the first gateway of the swarm."""
        sensors: tuple[str, ...] = ("temperature",)
        """What it measures: see `readings.KINDS`; a sensor of any other name measures between 0 and 1."""
        period: Duration = 1_000_000_000
        """How often."""
        start: Duration | None = None
        """When it measures first. Default: at a moment of its first period that is its own."""

        inference: Path | None = None
        """A model that judges the readings, see models.inference."""

    settings: Settings

    @classmethod
    def examine(cls, settings: Settings) -> None:
        check_inference(settings.inference)

    def on_start(self) -> None:
        self._to = self.settings.to or self.target
        if not self.settings.to and self._to == "aggregator":
            raise ValueError(f"{self.name} does not know whom to send to: say `settings: {{to: NODE}}`")
        self._values = {kind: Wandering(kind, self.random) for kind in self.settings.sensors}
        self._inference = Inference(self, self.settings.inference) if self.settings.inference else None
        start, period = self.settings.start, self.settings.period
        self.every(period, self._measure, first_ns=self.random.randrange(period) if start is None else start)
        self.log(f"sensor: {', '.join(self._values)} to {self._to}")

    def _measure(self) -> None:
        seq = int(self.metrics.get("readings", 0))
        values = {kind: value.step() for kind, value in self._values.items()}
        reading = {"seq": seq, "values": values}
        results = list(self._inference.results(self.name, reading)) if self._inference else []
        self.send(self._to, reading | {"judged": True} if self._inference else reading, type="reading")
        self.count("readings")
        for result in results:
            self.send(self._to, result, type=RESULT)
