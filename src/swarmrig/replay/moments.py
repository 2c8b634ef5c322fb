"""What happened in a run, one thing after the other: events, frames and console lines, each with its time and place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarmrig.net.pcapng import Packet, PcapngError, PcapngReader
from swarmrig.replay.finished import IncomparableError
from swarmrig.wire.decode import decode
from swarmrig.wire.words import in_words

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. Two are the same when time, source and content are."""

    t_ns: int
    source: str
    """The node, the link's end or the part of the rig that it came from."""
    content: tuple[Any, ...]
    place: str = field(compare=False)
    """Where it is recorded: file:line, or file#frame."""

    @property
    def text(self) -> str:
        """For people, on one line."""
        return " ".join(str(part) for part in self.content if part not in (None, ""))


@dataclass(frozen=True, slots=True)
class FrameMoment(Moment):
    """A frame; `content` holds its bytes and its comment in the capture."""

    @property
    def data(self) -> bytes:
        data: bytes = self.content[0]
        return data

    @property
    def text(self) -> str:
        return in_words(decode(self.data)) + (f" [{self.content[1]}]" if self.content[1] else "")


@dataclass(frozen=True, slots=True)
class LineMoment(Moment):
    """A console line; `content` holds its bytes."""

    @property
    def text(self) -> str:
        raw: bytes = self.content[0]
        return raw.removesuffix(b"\r").decode("utf-8", "backslashreplace")


def events(directory: Path) -> Iterator[Moment]:
    """The event log."""
    for number, line in enumerate(_lines(directory / "events.jsonl"), 1):
        try:
            event = json.loads(line)
            data = json.dumps(event["data"], sort_keys=True)
            yield Moment(event["t"], event["source"], (event["kind"], data), f"events.jsonl:{number}")
        except (ValueError, LookupError, TypeError) as error:
            raise IncomparableError(f"{directory}/events.jsonl:{number} is damaged: {error}") from error


def console_times(directory: Path) -> dict[str, dict[int, int]]:
    """By node and line number, when the line was complete."""
    times: dict[str, dict[int, int]] = {}
    for moment in events(directory):
        if moment.content[0] == "console":
            times.setdefault(moment.source, {})[json.loads(moment.content[1])["line"]] = moment.t_ns
    return times


def console(directory: Path, node: str, times: dict[int, int]) -> Iterator[LineMoment]:
    """A node's console. Lines of which no time is known (a flood) have that of the line before."""
    t_ns = 0
    name = f"nodes/{node}/console.log"
    for number, line in enumerate(_lines(directory / name), 1):
        t_ns = times.get(number, t_ns)
        yield LineMoment(t_ns, node, (line,), f"{name}:{number}")


def frames(directory: Path, link: str) -> Iterator[FrameMoment]:
    """The frames of a link's capture, each with the end at which it was recorded as its source."""
    name = f"net/{link}.pcapng"
    reader = PcapngReader()
    try:
        with (directory / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                for packet in reader.feed(chunk):
                    yield _frame(name, reader.interfaces[packet.interface], packet)
    except FileNotFoundError:
        return
    except (OSError, PcapngError, LookupError) as error:
        raise IncomparableError(f"{directory / name} cannot be read: {error}") from error


def _frame(name: str, end: str, packet: Packet) -> FrameMoment:
    return FrameMoment(packet.t_ns, end, (packet.data, packet.comment, packet.inbound), f"{name}#{packet.number}")


def _lines(path: Path) -> Iterator[bytes]:
    """Without their newlines; none when there is no such file."""
    try:
        with path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise IncomparableError(f"{path} cannot be read: {error.strerror}") from error
