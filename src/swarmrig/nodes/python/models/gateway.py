"""The model `gateway`: collects readings, and passes them on, one by one or summed up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarmrig.nodes.python.message import Message
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.models.inference import READING, RESULT, Inference, check_inference
from swarmrig.nodes.python.settings import Duration, NodeId


@dataclass(slots=True)
class Summary:
    """What one sensor of one node has measured since the last time."""

    count: int = 0
    total: float = 0.0
    low: float = field(default=float("inf"))
    high: float = field(default=float("-inf"))
    last: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self.last = value

    def to_json(self) -> dict[str, Any]:
        mean = round(self.total / self.count, 6)
        return {"count": self.count, "mean": mean, "min": self.low, "max": self.high, "last": self.last}


class Gateway(Model):
    """Without `period`, passes on every message as it is, with its own `src` as `via` in the payload: {"via": gateway,
    "src": sensor, "sent_us": when, "payload": …}, type unchanged. With it, sends messages of type `aggregate`:
    {"nodes": {sensor node: {sensor: {"count", "mean", "min", "max", "last"}}}, "messages": how many}.

    With `inference` it judges readings that nobody before it has judged, and sends what it found in messages of type
    `inference`, as sensors do; such messages are passed on at once in any case.

    Metrics: `received`, `forwarded` (messages), `unreadable` (readings that are none), and those of
    `inference.Inference`.
    """

    @dataclass(frozen=True)
    class Settings:
        to: NodeId = ""
        """Whom it passes on to. Without: it only counts."""
        period: Duration = 0
        """How often it sums up; 0: never, every message is passed on at once."""

        inference: Path | None = None
        """A model that judges the readings, see models.inference."""

    settings: Settings

    @classmethod
    def examine(cls, settings: Settings) -> None:
        check_inference(settings.inference)

    def on_start(self) -> None:
        self._inference = Inference(self, self.settings.inference) if self.settings.inference else None
        self._nodes: dict[str, dict[str, Summary]] = {}
        self._messages = 0
        if self.settings.period and self.settings.to:
            self.every(self.settings.period, self._sum_up)
        self.log(f"gateway: to {self.settings.to or 'nobody'}")

    def on_message(self, message: Message) -> None:
        self.count("received")
        results = list(self._inference.results_of(message)) if self._inference else []
        if not self.settings.to:
            return
        if self.settings.period and message.type != RESULT:
            self._add(message)
        else:
            self._pass_on(message, judged=self._inference is not None)
        for result in results:
            self.send(self.settings.to, result, type=RESULT)

    def _pass_on(self, message: Message, *, judged: bool) -> None:
        payload = message.payload
        if judged and message.type == READING and isinstance(payload, Mapping):
            payload = {**payload, "judged": True}
        passed = {"via": self.name, "src": message.src, "sent_us": message.time_us, "payload": payload}
        self.send(self.settings.to, passed, type=message.type, size_bytes=message.size_bytes)
        self.count("forwarded")

    def _add(self, message: Message) -> None:
        values = message.payload.get("values") if isinstance(message.payload, Mapping) else None
        if not isinstance(values, Mapping) or not all(isinstance(value, int | float) for value in values.values()):
            self.count("unreadable")
            return
        self._messages += 1
        summaries = self._nodes.setdefault(message.src, {})
        for sensor, value in values.items():
            summaries.setdefault(sensor, Summary()).add(value)

    def _sum_up(self) -> None:
        """One message for each so many nodes as fit into a datagram."""
        nodes, self._nodes = self._nodes, {}
        for part in _parts(nodes):
            self.send(self.settings.to, {"nodes": part}, type="aggregate")
            self.count("forwarded")


def _parts(nodes: Mapping[str, Mapping[str, Summary]]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for index, (node, summaries) in enumerate(nodes.items()):
        if index % NODES_A_MESSAGE == 0:
            parts.append({})
        parts[-1][node] = {sensor: summary.to_json() for sensor, summary in summaries.items()}
    return parts


NODES_A_MESSAGE = 5
