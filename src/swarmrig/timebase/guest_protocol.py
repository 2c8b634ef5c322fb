"""The guest's side of the lockstep protocol, for machines that are led through virtual time without QEMU's plugin.

What the messages mean stands in lockstep/PROTOCOL.md; `protocol` has the coordinator's side.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarmrig.timebase.protocol import (
    MAGIC,
    MESSAGE_LIMIT,
    NEVER,
    VERSION,
    Command,
    Feature,
    Flag,
    Kind,
    Line,
    ProtocolError,
    Reply,
)

_HEADER = struct.Struct("<IHH")
_HELLO = struct.Struct("<IHHIHHIIIqHH")
_REPORT = struct.Struct("<IHHqqQII")
_RECORD = struct.Struct("<qIHH")
_STOPPED = struct.Struct("<IHHqQ")
_GRANT = struct.Struct("<IHHqII")
_COMMAND = struct.Struct("<qIHHII")
_TAG = struct.Struct("<I")
_FRAME, _CONSOLE, _REPLY = 1, 2, 3
_AS_ASKED = 1


@dataclass(frozen=True, slots=True)
class Order:
    """One timed command of a grant, at the guest's own time."""

    t_ns: int
    kind: Command
    payload: bytes
    tag: int
    """0: nobody wants a reply."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The guest may live up to and including the horizon; the orders are in time order."""

    horizon_ns: int
    orders: tuple[Order, ...]


Message = Granted | Kind
"""WELCOME, HOLD, RELEASE and END have no content."""


class Decoder:
    """Cuts the coordinator's byte stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`. Raises ProtocolError; the stream is of no use after that."""
        data, messages, at = self._rest + data, [], 0
        while len(data) - at >= _HEADER.size:
            length, kind, _ = _HEADER.unpack_from(data, at)
            if not _HEADER.size <= length <= MESSAGE_LIMIT:
                raise ProtocolError(f"a message of {length} bytes from the coordinator")
            if len(data) - at < length:
                break
            messages.append(_message(kind, data[at : at + length]))
            at += length
        self._rest = data[at:]
        return messages


def hello(machine: str, commands: Iterable[Command]) -> bytes:
    """The machine stands at time 0, and knows these commands; FRAME and CONSOLE say what it is joined by."""
    known = sum(1 << command for command in commands)
    features = Feature.CONSOLE if known & 1 << Command.CONSOLE else Feature(0)
    features |= Feature.NETWORK if known & 1 << Command.FRAME else Feature(0)
    name = machine.encode()
    size = _HELLO.size + len(name)
    return _HELLO.pack(size, Kind.HELLO, 0, MAGIC, VERSION, 0, known, features, 1, 0, len(name), 0) + name


def report(
    now_ns: int,
    deadline_ns: int = NEVER,
    *,
    flags: Flag = Flag(0),
    frames: Sequence[tuple[int, bytes]] = (),
    console: Sequence[Line] = (),
    replies: Sequence[Reply] = (),
) -> bytes:
    """What the machine did up to now; it acts next at the deadline unless something reaches it before."""
    records = [_record(t, _FRAME, 0, frame) for t, frame in frames]
    records += [_record(line.t, _CONSOLE, int(line.complete), line.data) for line in console]
    records += [_record(reply.t, _REPLY, int(not reply.ok), _TAG.pack(reply.tag) + reply.data) for reply in replies]
    body = b"".join(records)
    head = _REPORT.pack(_REPORT.size + len(body), Kind.REPORT, flags, now_ns, deadline_ns, 0, 0, len(records))
    return head + body


def stopped(now_ns: int) -> bytes:
    """The machine stands still outside of virtual time, as it was asked to."""
    return _STOPPED.pack(_STOPPED.size, Kind.STOPPED, _AS_ASKED, now_ns, 0)


def _record(t_ns: int, kind: int, detail: int, payload: bytes) -> bytes:
    return _RECORD.pack(t_ns, len(payload), kind, detail) + payload


def _message(kind: int, data: bytes) -> Message:
    if kind == Kind.GRANT:
        return _granted(data)
    if kind in (Kind.WELCOME, Kind.HOLD, Kind.RELEASE, Kind.END):
        return Kind(kind)
    raise ProtocolError(f"a message of unknown kind {kind} from the coordinator")


def _granted(data: bytes) -> Granted:
    try:
        _, _, _, horizon, count, _ = _GRANT.unpack_from(data)
        orders, at = [], _GRANT.size
        for _ in range(count):
            t, length, kind, _, tag, _ = _COMMAND.unpack_from(data, at)
            at += _COMMAND.size
            orders.append(Order(t, Command(kind), data[at : at + length], tag))
            at += length
    except (struct.error, ValueError) as error:
        raise ProtocolError(f"a GRANT that is damaged: {error}") from None
    if at != len(data):
        raise ProtocolError("a GRANT whose commands do not add up to its length")
    return Granted(horizon, tuple(orders))
