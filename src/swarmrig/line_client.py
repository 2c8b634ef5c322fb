"""A node of a swarm, as a program of its own: the reference client of the rig's line protocol.

This file needs nothing but Python's standard library (3.9 or newer) and nothing else of the rig: copy it where you
need it. A node overrides `start` and `receive`, and serves:

    from swarmrig.line_client import Node, serve

    class Thermometer(Node):
        def start(self):
            self.every(500_000, self.measure)

        def measure(self):
            self.send("gw", {"celsius": 21.5}, type="reading")

        def receive(self, event):
            self.log(f"{event['src']} says {event['payload']}")

    serve(Thermometer())

Times are run time in microseconds, and whole. The protocol is described in docs/howto/write-a-node-in-any-language.md.
"""

from __future__ import annotations

import heapq
import json
import os
import socket
import sys
from typing import Any, BinaryIO, Callable  # noqa: UP035 - nothing newer than Python 3.9

DESCRIPTOR = "SWARMRIG_LINE_FD"
"""Environment variable: the number of the socket to the rig; without it, standard input and output are used."""

Event = dict[str, Any]


class Node:
    """`id`, `config` (what INIT told) and `now_us` are set before `start` is called."""

    stepped = False
    """True: it lives from step to step, and hears at the beginning of each what arrived during the one before.
    False: it says when it acts next, and hears of everything at once."""

    def __init__(self) -> None:
        self.id = ""
        self.config: dict[str, Any] = {}
        self.now_us = 0
        self._started = False
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._events: list[Event] = []

    def start(self) -> None:
        """Called once, at the time at which it begins to live."""

    def receive(self, event: Event) -> None:
        """An event has arrived: its `type`, `time_us` (when it was sent), `src`, `dst`, `payload` and `size_bytes`."""

    def send(self, dst: str, payload: Any = None, *, type: str = "message", size_bytes: int = 0) -> None:
        """Send an event to a node, now. `size_bytes`: what it takes on the wire, if more than its JSON."""
        event = {"type": type, "time_us": self.now_us, "src": self.id, "dst": dst, "payload": payload}
        self._events.append({**event, "size_bytes": size_bytes})

    def log(self, text: str) -> None:
        """Write a line on the node's console."""
        self._events.append({"type": "log", "time_us": self.now_us, "payload": text})

    def call_at(self, time_us: int, callback: Callable[[], None]) -> None:
        """Call back at that time; now, if it is past."""
        self._serial += 1
        heapq.heappush(self._timers, (max(time_us, self.now_us), self._serial, callback))

    def call_after(self, delay_us: int, callback: Callable[[], None]) -> None:
        self.call_at(self.now_us + delay_us, callback)

    def every(self, period_us: int, callback: Callable[[], None]) -> None:
        """Call back again and again, first after one period."""
        due = self.now_us + period_us

        def fire() -> None:
            nonlocal due
            due += period_us
            self.call_at(due, fire)
            callback()

        self.call_at(due, fire)

    def advance(self, time_us: int, events: list[Event]) -> list[Event]:
        """Live up to that time, timers and events in order; returns what happened."""
        if not self._started:
            self._started = True
            self.now_us = time_us
            self.start()
        for event in events:
            self._live_until(max(event["time_us"], self.now_us) if self.stepped else time_us, passing=False)
            self.receive(event)
        self._live_until(time_us, passing=True)
        happened, self._events = self._events, []
        return happened

    def next_us(self) -> int | None:
        """When it acts next without hearing anything; None: never."""
        return self._timers[0][0] if self._timers else None

    def _live_until(self, time_us: int, *, passing: bool) -> None:
        """`passing`: also what is due at that very time."""
        while self._timers and self._timers[0][0] < time_us + passing:
            self.now_us, _, callback = heapq.heappop(self._timers)
            callback()
        self.now_us = max(self.now_us, time_us)


def serve(node: Node) -> None:
    """Speak with the rig until it is over."""
    reading, writing = _connect()
    while True:
        line = reading.readline().decode("utf-8").rstrip("\n")
        word, _, rest = line.partition(" ")
        if word == "INIT":
            node.id, _, config = rest.partition(" ")
            node.config = json.loads(config)
            answer = "READY\n"
        elif word == "ADVANCE":
            happened = node.advance(int(rest), json.loads(reading.readline()))
            done = "DONE" if node.stepped else f"DONE {'never' if node.next_us() is None else node.next_us()}"
            answer = f"{done}\n{json.dumps(happened)}\n"
        elif word in ("SHUTDOWN", ""):  # "": the rig has gone
            return
        else:
            raise ValueError(f"the rig said {line!r}")
        writing.write(answer.encode("utf-8"))
        writing.flush()


def _connect() -> tuple[BinaryIO, BinaryIO]:
    number = os.environ.get(DESCRIPTOR)
    if number is None:
        return sys.stdin.buffer, sys.stdout.buffer
    line = socket.socket(fileno=int(number))
    return line.makefile("rb"), line.makefile("wb")
