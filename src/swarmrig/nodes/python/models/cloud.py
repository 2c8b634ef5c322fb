"""The model `cloud`: where messages end up. It counts, keeps the latest, and measures how old they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.nodes.python.message import Message
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.models.inference import RESULT, Inference, check_inference


class Cloud(Model):
    """Metrics: `messages`, `bytes` (payload), `sources` (nodes that sent), `latency_us_mean`, `latency_us_max` (from
    the time at which a message was sent by whom it came from), and `messages_TYPE` by type.

    With `inference` it judges readings that nobody before it has judged, and tells whom they came from in messages of
    type `inference`, as sensors do; it counts as `inference.Inference` does.

    Its report has the last messages, too."""

    @dataclass(frozen=True)
    class Settings:
        keep: int = 100
        """How many of the last messages it keeps."""
        tell: bool = False
        """Say every message on the console."""

        inference: Path | None = None
        """A model that judges the readings, see models.inference."""

    settings: Settings

    @classmethod
    def examine(cls, settings: Settings) -> None:
        check_inference(settings.inference)

    def on_start(self) -> None:
        self._inference = Inference(self, self.settings.inference) if self.settings.inference else None
        self.kept: deque[Message] = deque(maxlen=self.settings.keep)
        self._sources: set[str] = set()
        self._latency_us = 0
        self.log("cloud: ready")

    def on_message(self, message: Message) -> None:
        self.kept.append(message)
        self._sources.add(message.src)
        latency_us = self.now_ns // 1_000 - message.time_us
        self._latency_us += latency_us
        self.count("messages")
        self.count(f"messages_{message.type}")
        self.count("bytes", message.size_bytes)
        metrics = self.metrics
        metrics["sources"] = len(self._sources)
        metrics["latency_us_mean"] = round(self._latency_us / metrics["messages"], 3)
        metrics["latency_us_max"] = max(metrics.get("latency_us_max", 0), latency_us)
        if self.settings.tell:
            self.log(f"cloud: {message.type} from {message.src}: {message.payload}")

        for result in self._inference.results_of(message) if self._inference else ():
            self.send(message.src, result, type=RESULT)

    def report(self) -> Mapping[str, Any]:
        return {**super().report(), "last": [message.to_json() for message in self.kept]}
