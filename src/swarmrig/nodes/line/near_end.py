"""The near end of a line node: a model in the network's process that asks the program, and sends what it answers.

A program that answers `DONE` alone lives from step to step: at the beginning of each it is told what arrived during the
one before, and lives through all of it; what it does enters the network at the times that it says. One that answers
`DONE <time>` is asked again at that time or when something arrives, whichever is first: then nothing waits.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any

from swarmrig.api.steppable import Timer
from swarmrig.nodes.line.protocol import NEVER_US, LineChannel, LineError, shortened
from swarmrig.nodes.python.host import MAX_DATAGRAM_BYTES
from swarmrig.nodes.python.message import Message
from swarmrig.nodes.python.model import Model

_NS_PER_US = 1_000
LOG = "log"
"""Type of an event without `dst`: a line of the node's console."""


class LineModel(Model):
    """Config: that of a Model, `step_us` and `deadline_s`. It stands still until it is connected."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        self._step_us = int(config["step_us"])
        self._deadline_s = float(config["deadline_s"])
        self._channel: LineChannel | None = None
        self._inbox: list[Message] = []
        self._lived_us = 0
        """How far the program has lived."""
        self._declares = False
        """It says when it acts next."""
        self._timer: Timer | None = None

    def connect(self, fd: int) -> None:
        """The program, which has said that it is ready, is at the other end of the socket; it begins to live now."""
        if self._channel is not None:
            self._channel.close()
        self._channel = LineChannel(socket.socket(fileno=fd), self._deadline_s)
        self._declares = True  # asked at once, for no time at all: then it is known how it lives
        self._inbox.clear()
        self._wake(self.now_ns)

    def disconnect(self) -> None:
        """The program shall end."""
        if self._channel is not None:
            self._channel.shut_down()
            self._channel = None

    def on_message(self, message: Message) -> None:
        if self._channel is None:
            self.count("unheard")
            return
        self._inbox.append(message)
        if self._declares:
            self._wake(self.now_ns)

    def _wake(self, t_ns: int) -> None:
        if self._timer is not None:
            self.cancel(self._timer)
        self._timer = self.call_at(t_ns, self._step)

    def _step(self) -> None:
        self._timer = None
        if self._channel is not None:
            try:
                self._advance(self._channel)
            except BaseException:  # it has failed, and the program sees that nobody is there any more
                self._channel.close()
                raise

    def _advance(self, channel: LineChannel) -> None:
        now_us = self.now_ns // _NS_PER_US
        horizon_us = now_us if self._declares else now_us + self._step_us
        inbox, self._inbox = self._inbox, []
        self.count("advances")
        self.count("received", len(inbox))
        done = channel.advance(horizon_us, [message.to_json() for message in inbox])
        for event in sorted((self._checked(event, now_us, horizon_us) for event in done.events), key=_time):
            self.call_at(event.time_us * _NS_PER_US, partial(self._happen, event))
        self._lived_us, self._declares = horizon_us, done.next_us is not None
        if done.next_us is None:
            self._wake(horizon_us * _NS_PER_US)
        elif done.next_us < NEVER_US:
            self._wake(done.next_us * _NS_PER_US)

    def _happen(self, event: Message) -> None:
        if not event.dst:
            self.log(event.payload)
            return
        self.count("sent")
        self.send(event.dst, event.payload, type=event.type, size_bytes=event.size_bytes)

    def _checked(self, event: Mapping[str, Any], now_us: int, horizon_us: int) -> Message:
        """LineError names the event, and what is wrong with it."""
        kind, time_us, size = event.get("type"), event.get("time_us", now_us), event.get("size_bytes", 0)
        dst, payload = event.get("dst", ""), event.get("payload")
        if not isinstance(kind, str):
            raise self._wrong(event, "`type` is a text")
        if type(time_us) is not int or not now_us <= time_us <= horizon_us:
            raise self._wrong(event, f"`time_us` is a whole number from {now_us} to {horizon_us}")
        if type(size) is not int or not 0 <= size <= MAX_DATAGRAM_BYTES:
            raise self._wrong(event, f"`size_bytes` is a whole number from 0 to {MAX_DATAGRAM_BYTES}")
        if event.get("src", self.name) != self.name:
            raise self._wrong(event, f"`src` is {self.name}")
        if kind == LOG and not dst:
            return Message(kind, time_us, self.name, "", str(payload).replace("\n", " "))
        if not isinstance(dst, str) or not dst:
            raise self._wrong(event, "`dst` is a node")
        return self._addressed(event, Message(kind, time_us, self.name, dst, payload, size))

    def _addressed(self, event: Mapping[str, Any], message: Message) -> Message:
        try:
            self.address_of(message.dst)
            packed = message.pack()
        except LookupError as error:
            raise self._wrong(event, str(error.args[0])) from None
        except (TypeError, ValueError) as error:
            raise self._wrong(event, str(error)) from None
        if len(packed) > MAX_DATAGRAM_BYTES:
            raise self._wrong(event, f"{len(packed)} bytes, and a datagram takes {MAX_DATAGRAM_BYTES}")
        return message

    def _wrong(self, event: Mapping[str, Any], what: str) -> LineError:
        assert self._channel is not None
        return self._channel.wrong(f"the event {shortened(json.dumps(event))}: {what}")


def _time(event: Message) -> int:
    return event.time_us


def make_line_model(name: str, config: Mapping[str, Any]) -> LineModel:
    """The factory that network plans name."""
    return LineModel(name, config)
