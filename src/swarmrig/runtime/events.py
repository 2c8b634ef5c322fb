"""The event log: the spine of reports, replay and digest.

`events.jsonl` holds one JSON object a line: {"n", "t", "source", "kind", "data"} with `t` in ns of run time,
sorted by (t, source, order of arrival). `walltimes.jsonl` holds {"n", "wall"} for the same numbers, apart,
so that in virtual time the log itself has the same bytes in every run.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

FILE = "events.jsonl"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Kinds: run.started, node.started, node.booted, node.ready, node.exited,
    node.stopped, console, fault, link, check, run.stopping, run.finished, warning, failure; and preparing, for
    observers only."""

    t_ns: int
    source: str
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"t": self.t_ns, "source": self.source, "kind": self.kind, "data": dict(self.data)}


class EventLog:
    """Writes events in order, up to the time before which nothing more can come; open it with `open_event_log`."""

    def __init__(self, events: IO[str], walltimes: IO[str]) -> None:
        self._events = events
        self._walltimes = walltimes
        self._waiting: list[tuple[int, str, int, int, Event]] = []
        self._arrived = 0
        self._written = 0
        self._horizon_ns = -1

    def add(self, event: Event) -> None:
        """Take an event; one that comes too late is written at the horizon that it missed."""
        self._arrived += 1
        order = max(event.t_ns, self._horizon_ns + 1)
        heapq.heappush(self._waiting, (order, event.source, self._arrived, time.time_ns(), event))

    def write_until(self, horizon_ns: int) -> None:
        """Write every event at or before `horizon_ns`, and let readers of the file see them."""
        while self._waiting and self._waiting[0][0] <= horizon_ns:
            order, _, _, wall_ns, event = heapq.heappop(self._waiting)
            self._written += 1
            line = {"n": self._written, **event.as_json(), "t": order}
            self._events.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._walltimes.write(f'{{"n":{self._written},"wall":{wall_ns}}}\n')
        self._horizon_ns = max(self._horizon_ns, horizon_ns)
        self._events.flush()

    def finish(self) -> None:
        if self._waiting:
            self.write_until(max(entry[0] for entry in self._waiting))


def read_events(directory: Path) -> Iterator[Event]:
    """The events of a finished run, in order."""
    with (directory / FILE).open(encoding="ascii") as lines:
        for line in lines:
            event = json.loads(line)
            yield Event(event["t"], event["source"], event["kind"], event["data"])


@contextmanager
def open_event_log(directory: Path) -> Iterator[EventLog]:
    """The log of a run directory; everything waiting is written on leaving. It is locked meanwhile: so whoever finds
    the directory knows that the run goes on, also where its state is out of sight, as in a container."""
    with (
        (directory / FILE).open("x", encoding="ascii") as events,
        (directory / "walltimes.jsonl").open("x", encoding="utf-8") as walltimes,
    ):
        with suppress(OSError):  # not on every file system
            fcntl.flock(events, fcntl.LOCK_EX | fcntl.LOCK_NB)
        log = EventLog(events, walltimes)
        try:
            yield log
        finally:
            log.finish()
