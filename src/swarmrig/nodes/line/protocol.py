"""The line protocol, seen from the rig: what is said, what is understood, and how long an answer may take.

    rig: INIT <id> <json object>              program: READY
    rig: ADVANCE <time, us>                   program: DONE [<time, us> | never]
         <json array of events>                        <json array of events>
    rig: SHUTDOWN                             the program ends

One line each, UTF-8, ended by a newline. An event is {"type", "time_us", "src", "dst", "payload", "size_bytes"}.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LINE_LIMIT = 16 << 20
"""Bytes of a line."""
NEVER_US = 1 << 62
SHUTDOWN = b"SHUTDOWN\n"
CLOSED = "it closed its end"
_CHUNK = 1 << 16
_SHOWN = 120


class LineError(Exception):
    """The program does not keep to the protocol, or does not answer. The message says what it said, and where."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a program answers to ADVANCE."""

    next_us: int | None
    """When it acts next unless something arrives; None: it did not say, and lives from step to step."""
    events: Sequence[Mapping[str, Any]]


class LineChannel:
    """The rig's end of the line: one question, one answer. Blocks, up to `deadline_s` an answer."""

    def __init__(self, line: socket.socket, deadline_s: float) -> None:
        self._line = line
        self._deadline_s = deadline_s
        self._input = bytearray()
        self._lines = 0
        self._asked = ""

    def advance(self, time_us: int, events: Sequence[Mapping[str, Any]]) -> Done:
        """Let the program live up to that time, with what has reached it. LineError."""
        self._ask(f"ADVANCE {time_us}", json.dumps(list(events), separators=(",", ":")))
        word, _, rest = self._hear().partition(" ")
        if word != "DONE":
            raise self.wrong(f"expected DONE, it said {shortened(f'{word} {rest}'.rstrip())}")
        next_us = self._next(rest, time_us)
        return Done(next_us, self._events())

    def shut_down(self) -> None:
        """Tell it that it is over, without waiting: whether it hears that is for others to see."""
        self._line.setblocking(False)
        with suppress(OSError):
            self._line.send(SHUTDOWN)
        self.close()

    def close(self) -> None:
        self._line.close()

    def wrong(self, what: str) -> LineError:
        """An error that says where: after which question, in which line."""
        return LineError(f"{what} (line {self._lines} of what it said, in answer to {self._asked})")

    def _ask(self, *lines: str) -> None:
        self._asked = lines[0]
        end = time.monotonic() + self._deadline_s
        if self._input:
            raise self.wrong(f"it spoke unasked: {shortened(self._input.decode('utf-8', 'replace'))}")
        try:
            self._line.settimeout(self._deadline_s)
            self._line.sendall("".join(f"{line}\n" for line in lines).encode())
        except TimeoutError:
            raise LineError(f"it does not read {self._asked}, {self._deadline_s:g} s long") from None
        except OSError:
            raise LineError(f"{CLOSED} before {self._asked}") from None
        self._end = end

    def _hear(self) -> str:
        while b"\n" not in self._input:
            if len(self._input) > LINE_LIMIT:
                raise self.wrong(f"a line of more than {LINE_LIMIT} bytes")
            self._input += self._received()
        line, _, rest = bytes(self._input).partition(b"\n")
        self._input = bytearray(rest)
        self._lines += 1
        try:
            return line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError:
            raise self.wrong(f"a line that is no UTF-8: {line[:_SHOWN]!r}") from None

    def _received(self) -> bytes:
        left = self._end - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._line.settimeout(left)
            chunk = self._line.recv(_CHUNK)
        except TimeoutError:
            raise LineError(f"no answer to {self._asked} within {self._deadline_s:g} s") from None
        except OSError:
            chunk = b""
        if not chunk:
            raise LineError(f"{CLOSED} instead of answering {self._asked}")
        return chunk

    def _next(self, said: str, time_us: int) -> int | None:
        if not said:
            return None
        if said == "never":
            return NEVER_US
        if not (said.isascii() and said.isdigit()) or int(said) <= time_us:
            raise self.wrong(
                f"after DONE expected a time after {time_us}, `never` or nothing, it said {shortened(said)}"
            )
        return min(int(said), NEVER_US)

    def _events(self) -> Sequence[Mapping[str, Any]]:
        line = self._hear()
        try:
            events = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"expected a JSON array of events, it said {shortened(line)}: {error}") from None
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise self.wrong(f"expected a JSON array of events, it said {shortened(line)}")
        return events


def shortened(text: str) -> str:
    """As it can be shown in a message."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
