"""Whoever watches a run: the one who started it, and those who attach to it from other processes.

While a run lives, its private state directory has a socket. Who connects is told, in lines of JSON, each an object
with one key:

    programme  what the run is going to be (runtime.observer.Programme): the first line
    event      {"t", "source", "kind", "data"}, as in the event log; first those that a late-comer has missed
    snapshot   the state of the run: first the latest, then about four times a second; who reads slowly gets fewer
    said       the id of a node whose console.log has grown, for who listens to it
    missed     how many events were left out because they were not read in time
    answer     to a request: {} or {"error": "..."}

and may ask, a line of JSON for each request: {"do": "listen", "node"}, {"do": "type", "node", "text"},
{"do": "release"}. The run waits for nobody.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketListener, SocketStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from swarmrig.api import HasConsole
from swarmrig.errors import SwarmrigError
from swarmrig.model.verdict import Judgement
from swarmrig.proc import RunScope
from swarmrig.runtime.brake import Brake
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Observer, Programme, Snapshot
from swarmrig.runtime.waiting import beside

if TYPE_CHECKING:
    from swarmrig.runtime.live import LiveRun

SOCKET = "live.sock"
BY_HAND = "by hand"
"""In the warning of a run that somebody has typed into: nothing repeats it."""
MAX_REQUEST = 1 << 16
_WAITING = 4096
"""Events that wait for a slow reader."""
_TOLD = 64
"""Events that a late-comer is told."""
_FAREWELL_S = 1.0
_GONE = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_UNREADABLE = (*_GONE, anyio.IncompleteRead, anyio.DelimiterNotFound)


class Seat:
    """One who is attached: what he has still to be told, in bounded memory."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.listens_to: str | None = None
        self._lines: deque[bytes] = deque()
        self._latest: bytes | None = None
        self._said = False
        self._missed = 0
        self._more = anyio.Event()
        self._closing = False

    def tell(self, key: str, value: Any) -> None:
        """What he has asked for, or has to know."""
        self._lines.append(_line(key, value))
        self._more.set()

    def tell_event(self, event: bytes) -> None:
        """Left out when too many wait already."""
        if len(self._lines) >= _WAITING:
            self._missed += 1
        else:
            self._lines.append(event)
        self._more.set()

    def show(self, snapshot: bytes) -> None:
        """Only the latest is ever told."""
        self._latest = snapshot
        self._more.set()

    def ping(self) -> None:
        """The console that he listens to has said more."""
        self._said = True
        self._more.set()

    def close(self) -> None:
        """After what he has still to be told."""
        self._closing = True
        self._more.set()

    async def write(self) -> None:
        """Until it is closed, or he is gone."""
        while True:
            await self._more.wait()
            self._more = anyio.Event()
            chunk = self._take()
            if chunk:
                await self.stream.send(chunk)
            elif self._closing:
                return
            if self._lines or self._closing:
                self._more.set()

    def _take(self) -> bytes:
        """What there is, in few writes."""
        parts = [self._lines.popleft() for _ in range(min(len(self._lines), 256))]
        if self._missed and not self._lines:
            parts.append(_line("missed", self._missed))
            self._missed = 0
        if self._said:
            parts.append(_line("said", self.listens_to))
            self._said = False
        if self._latest is not None:
            parts.append(self._latest)
            self._latest = None
        return b"".join(parts)


class Audience:
    """The observer of a run; made by `open_audience`."""

    def __init__(self, programme: Programme, first: Observer, brake: Brake | None) -> None:
        self.live: LiveRun | None = None
        """Set once the run lives: then it can be acted upon."""
        self.touched = False
        """Has somebody acted upon it?"""
        self._programme = programme
        self._first = first
        self._brake = brake
        self._seats: list[Seat] = []
        self._told: deque[Event] = deque(maxlen=_TOLD)
        self._stands: Snapshot | None = None
        self._faults: dict[str, Event] = {}
        self._left = anyio.Event()
        self._listener: SocketListener | None = None

    # --- what it is told ---------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        self._first.on_event(event)
        if event.kind == "fault":
            self._faults[str(event.data.get("id"))] = event
        elif event.kind != "console":
            self._told.append(event)
        if self._seats:
            line = _line("event", event.as_json())
            for seat in self._seats:
                seat.tell_event(line)

    def progress(self, snapshot: Snapshot) -> None:
        self._first.progress(snapshot)
        self._stands = snapshot
        if self._seats:
            line = _line("snapshot", snapshot_json(snapshot))
            for seat in self._seats:
                seat.show(line)

    def console_grown(self, node: str) -> None:
        for seat in self._seats:
            if seat.listens_to == node:
                seat.ping()

    # --- who is attached ---------------------------------------------------------------------------------------

    async def listen(self, scope: RunScope, tasks: TaskGroup) -> None:
        """From now on, as long as the tasks live. Where there can be no socket, nobody is attached."""
        with suppress(OSError):
            directory = os.open(scope.state_directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:  # the path of a socket may have 107 bytes only
                listener = await anyio.create_unix_listener(f"/proc/self/fd/{directory}/{SOCKET}", mode=0o600)
            finally:
                os.close(directory)
            self._listener = listener
            tasks.start_soon(self._receive, listener, tasks)

    async def _receive(self, listener: SocketListener, tasks: TaskGroup) -> None:
        with suppress(anyio.ClosedResourceError):  # nobody new comes
            while True:
                tasks.start_soon(self._welcome, await listener.accept())

    async def say_goodbye(self) -> None:
        """Nobody new comes; the others are told all, if they read it."""
        if self._listener is not None:
            await self._listener.aclose()
        for seat in self._seats:
            seat.close()
        with anyio.move_on_after(_FAREWELL_S):
            while self._seats:
                await self._left.wait()

    async def _welcome(self, stream: SocketStream) -> None:
        seat = Seat(stream)
        seat.tell("programme", asdict(self._programme))
        for event in sorted((*self._told, *self._faults.values()), key=lambda event: event.t_ns):
            seat.tell("event", event.as_json())
        if self._stands is not None:  # of a frozen run there is no other
            seat.show(_line("snapshot", snapshot_json(self._stands)))
        self._seats.append(seat)
        try:
            async with stream, anyio.create_task_group() as tasks:
                tasks.start_soon(self._hear, seat, tasks.cancel_scope)
                with suppress(*_GONE):
                    await seat.write()
                tasks.cancel_scope.cancel()
        finally:
            self._seats.remove(seat)
            left, self._left = self._left, anyio.Event()
            left.set()

    async def _hear(self, seat: Seat, scope: anyio.CancelScope) -> None:
        """Requests, until he is gone or says what is none."""
        lines = BufferedByteReceiveStream(seat.stream)
        with suppress(*_UNREADABLE, ValueError):
            while True:
                request = json.loads(await lines.receive_until(b"\n", MAX_REQUEST))
                if not isinstance(request, dict):
                    break
                seat.tell("answer", await self._answer(seat, request))
        scope.cancel()

    async def _answer(self, seat: Seat, request: Mapping[str, Any]) -> dict[str, str]:
        try:
            match request.get("do"):
                case "listen":
                    self._node(request)
                    seat.listens_to = str(request["node"])
                    seat.ping()
                case "type":
                    await self._type(self._node(request), str(request.get("text", "")))
                case "release":
                    if self._brake is None or not self._brake.release():
                        raise SwarmrigError("it is not frozen")
                case other:
                    raise SwarmrigError(f"nobody knows how to {other!r}")
        except SwarmrigError as error:
            return {"error": error.message}
        return {}

    def _node(self, request: Mapping[str, Any]) -> str:
        node = str(request.get("node"))
        if node not in self._programme.nodes:
            raise SwarmrigError(f"there is no node {node!r}: the nodes are {', '.join(self._programme.nodes)}")
        return node

    async def _type(self, name: str, text: str) -> None:
        node = None if self.live is None else self.live.fleet.nodes.get(name)
        if self.live is None or node is None:
            raise SwarmrigError(f"node {name} is not running")
        if not isinstance(node, HasConsole):
            raise SwarmrigError(f"node {name} has no console to type on")
        if not self.touched:
            self.touched = True
            self.live.recorder.warning("rig", f"somebody typed on the console of {name} {BY_HAND}: no run repeats that")
        await node.write_console(text.encode())
        self.live.recorder.event(name, "typed", {"text": text})


@asynccontextmanager
async def open_audience(
    programme: Programme, first: Observer, brake: Brake | None
) -> AsyncIterator[tuple[Audience, TaskGroup]]:
    """An audience, and the tasks in which it listens; on leaving, all who are attached have been told everything."""
    audience = Audience(programme, first, brake)
    async with beside() as tasks:
        try:
            yield audience, tasks
        finally:
            await audience.say_goodbye()


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """What `snapshot_of` reads; of judgements only outcome and message."""
    return {
        "now_ns": snapshot.now_ns,
        "duration_ns": snapshot.duration_ns,
        "nodes": {name: asdict(view) for name, view in snapshot.nodes.items()},
        "links": {name: asdict(view) for name, view in snapshot.links.items()},
        "checks": {label: judgement and _judged(judgement) for label, judgement in snapshot.checks.items()},
    }


def _judged(judgement: Judgement) -> dict[str, str]:
    return {"outcome": judgement.outcome.value, "message": judgement.message}


def _line(key: str, value: Any) -> bytes:
    return json.dumps({key: value}, separators=(",", ":"), default=str).encode() + b"\n"
