"""Attaching to a run that another process leads; see `runtime.audience` for what is said."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.proc import RunScope
from swarmrig.runtime.audience import SOCKET
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import LinkView, NodeView, Programme, Snapshot

_CHUNK = 1 << 16
MAX_LINE = 64 << 20
"""Bytes of a line; one holds the state of 256 nodes at most, or one line of a console."""


class NotLiveError(HostError):
    """The run is not in progress, or says nothing to those outside."""


class Attachment:
    """A run in progress, from outside; made by `attached`. One task reads, others may ask."""

    def __init__(self, stream: SocketStream, programme: Programme, lines: AsyncIterator[Mapping[str, Any]]) -> None:
        self.programme = programme
        self._stream = stream
        self._lines = lines
        self._asked: deque[tuple[anyio.Event, dict[str, str]]] = deque()

    async def news(self) -> AsyncIterator[Event | Snapshot | str]:
        """What happens, how it stands, and the node listened to whenever it has said more; until the run is over."""
        async for message in self._lines:
            if "event" in message:
                yield event_of(message["event"])
            elif "snapshot" in message:
                yield snapshot_of(message["snapshot"])
            elif "said" in message:
                yield str(message["said"])
            elif "missed" in message:
                yield Event(0, "watch", "warning", {"message": f"{message['missed']} events came too fast to be told"})
            elif "answer" in message and self._asked:
                done, answer = self._asked.popleft()
                answer.update(message["answer"])
                done.set()
        for done, answer in self._asked:
            answer["error"] = "the run is over"
            done.set()
        self._asked.clear()

    async def ask(self, do: str, **details: str) -> None:
        """Have the run do something, while another task reads `news`. SwarmrigError says why it did not."""
        done, answer = anyio.Event(), dict[str, str]()
        self._asked.append((done, answer))
        try:
            await self._stream.send(json.dumps({"do": do, **details}).encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise SwarmrigError("the run is over") from None
        await done.wait()
        if "error" in answer:
            raise SwarmrigError(answer["error"])


@asynccontextmanager
async def attached(run_id: str) -> AsyncIterator[Attachment]:
    """Attach to a run of this user on this machine. NotLiveError when there is none of that id."""
    directory = RunScope(Path(), run_id).state_directory
    try:
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            stream = await anyio.connect_unix(f"/proc/self/fd/{place}/{SOCKET}")
        finally:
            os.close(place)
    except OSError as error:
        raise NotLiveError(
            f"run {run_id} cannot be attached to: {error.strerror}",
            hint="it has just begun, is about to end, or was begun with another SWARMRIG_STATE_DIR",
        ) from error
    async with stream:
        lines = _messages(stream)
        first = await anext(lines, None)
        if first is None or "programme" not in first:
            raise NotLiveError(f"run {run_id} is just over")
        yield Attachment(stream, programme_of(first["programme"]), lines)


async def _messages(stream: SocketStream) -> AsyncIterator[Mapping[str, Any]]:
    rest = bytearray()
    while True:
        try:
            rest += await stream.receive(_CHUNK)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return
        *whole, last = rest.split(b"\n")
        rest = bytearray(last)
        if len(rest) > MAX_LINE:
            raise HostError("the run says something without an end")
        for line in whole:
            yield json.loads(line)


def programme_of(told: Mapping[str, Any]) -> Programme:
    """As `audience` wrote it."""
    return Programme(**{**told, "nodes": tuple(told["nodes"]), "links": tuple(told["links"])})


def event_of(told: Mapping[str, Any]) -> Event:
    return Event(told["t"], told["source"], told["kind"], told["data"])


def snapshot_of(told: Mapping[str, Any]) -> Snapshot:
    checks = {
        label: judged and Judgement(Outcome(judged["outcome"]), judged["message"])
        for label, judged in told["checks"].items()
    }
    nodes = {name: NodeView(**view) for name, view in told["nodes"].items()}
    links = {name: LinkView(**view) for name, view in told["links"].items()}
    return Snapshot(told["now_ns"], told["duration_ns"], nodes, links, checks)
