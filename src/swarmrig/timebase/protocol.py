"""The lockstep protocol, version 1: messages between a guest's plugin and its coordinator, to bytes and back.

What the messages mean stands in lockstep/PROTOCOL.md; lockstep/protocol.h is the other side. All of it is little
endian. This is the hot path of the coordinator: structs are compiled once, a message is taken apart in one pass.
Times are nanoseconds of network time.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

from swarmrig.errors import SwarmrigError

VERSION = 1
MAGIC = 0x4B43544C
NEVER = (1 << 63) - 1
"""A deadline that does not come; also the largest horizon."""
MESSAGE_LIMIT = 64 << 20
MEMORY_LIMIT = 1 << 20
"""Bytes of one memory command."""
FRAME_LIMIT = 0xFFFF


class Kind(IntEnum):
    """What a message is."""

    HELLO = 1
    REPORT = 2
    STOPPED = 3
    GONE = 4
    WELCOME = 16
    GRANT = 17
    HOLD = 18
    RELEASE = 19
    END = 20


class Feature(IntFlag):
    NETWORK = 1
    CONSOLE = 2
    PC = 4
    """Program counters are reported."""


class Flag(IntFlag):
    """What a report says beside its numbers."""

    IDLE = 1
    PAUSED = 2
    MORE = 4
    RESUMED = 8
    VIOLATED = 16


class Command(IntEnum):
    """An input with a time."""

    FRAME = 1
    CONSOLE = 2
    WRITE = 3
    XOR = 4
    READ = 5
    RESET = 6
    NMI = 7
    PAUSE = 8
    RESUME = 9
    CUT = 10


class ProtocolError(SwarmrigError):
    """What came is not a message of this protocol."""


class VersionError(ProtocolError):
    """The plugin speaks another version of the protocol."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The guest stands before its first instruction (or where a snapshot left it) and waits for WELCOME and a grant."""

    api: int
    """Version of QEMU's plugin API that the plugin was built for; 0: this guest has no plugin (see guest_protocol)."""
    commands: frozenset[Command]
    features: Feature
    grain_ns: int
    """Length of an instruction: the grain of everything that the guest does while it is busy."""
    now: int
    qemu: str
    target: str


class Line(NamedTuple):
    """Console output. A complete line ends in a newline and has the time of that newline; a part is the beginning of a
    line, cut off by the report, and its time says nothing."""

    t: int
    data: bytes
    complete: bool


class Reply(NamedTuple):
    """The answer to a command that had a tag. `data` is what was read, or the reason when it failed, as UTF-8."""

    t: int
    tag: int
    ok: bool
    data: bytes


class Report(NamedTuple):
    """What the guest did up to `now`, each list in the order in which it happened."""

    now: int
    deadline: int
    """When an idle guest acts next without further input (NEVER: not at all); `now` when it is busy."""
    pc: int
    overshoot: int
    """By how much the guest passed a boundary, at most, since the last report: less than the grain."""
    flags: int
    """Bits of `Flag`."""
    frames: list[tuple[int, bytes]]
    console: list[Line]
    replies: list[Reply]

    @property
    def expects_answer(self) -> bool:
        """False when a flood of output had to be handed over on the way to the horizon."""
        return not self.flags & _MORE

    @property
    def violated(self) -> bool:
        """The guest missed a boundary: the run is not exact."""
        return bool(self.flags & _VIOLATED)


class Stopped(NamedTuple):
    """The machine stands still outside of virtual time; QMP, gdb and snapshots work."""

    now: int
    pc: int
    as_asked: bool
    """By HOLD; otherwise a debugger or somebody at the monitor did it, or the guest itself."""
    is_off: bool = False
    """The guest has switched itself off; `Gone` follows unless QEMU was told to stay."""
    with_more: bool = False
    """There is more to it than the state of its machine: inputs that it has not taken yet, a pause, a power cut."""


class Gone(NamedTuple):
    """QEMU ends without being told to, for instance because the guest switched itself off: its last output."""

    last: Report


Message = Hello | Report | Stopped | Gone

_HEADER = struct.Struct("<IHH")
_HELLO = struct.Struct("<IHHIHHIIIqHH")
_REPORT = struct.Struct("<IHHqqQII")
_RECORD = struct.Struct("<qIHH")
_STOPPED = struct.Struct("<IHHqQ")
_WELCOME = struct.Struct("<IHHIHH")
_GRANT = struct.Struct("<IHHqII")
_COMMAND = struct.Struct("<qIHHII")
_TAG = struct.Struct("<I")
_ADDRESS = struct.Struct("<Q")
_PLACE = struct.Struct("<QI")
_CUT = struct.Struct("<QQI")
_FRAME, _CONSOLE, _REPLY = 1, 2, 3
# Plain numbers: an operation on an enumeration costs as much as all the rest of a report.
_MORE, _VIOLATED, _ALL_FLAGS = int(Flag.MORE), int(Flag.VIOLATED), sum(Flag)
_REPORT_KIND = int(Kind.REPORT)


# --- from the guest -----------------------------------------------------------------------------------------


class Decoder:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._need = _HEADER.size

    @property
    def is_empty(self) -> bool:
        """Nothing of a further message has arrived."""
        return not self._have

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`. Raises ProtocolError; the stream is of no use after that."""
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
        messages, offset = self._cut(data)
        rest = data[offset:]
        self._parts = [rest] if rest else []
        self._have = len(rest)
        return messages

    def _cut(self, data: bytes) -> tuple[list[Message], int]:
        messages: list[Message] = []
        offset, end = 0, len(data)
        while end - offset >= _HEADER.size:
            length, kind, _ = _HEADER.unpack_from(data, offset)
            if not _HEADER.size <= length <= MESSAGE_LIMIT:
                raise ProtocolError(f"a message of {length} bytes from the lockstep plugin")
            if end - offset < length:
                self._need = length
                return messages, offset
            messages.append(_decode(kind, data, offset, offset + length))
            offset += length
        self._need = _HEADER.size
        return messages, offset


def _decode(kind: int, data: bytes, start: int, end: int) -> Message:
    try:
        if kind == _REPORT_KIND:
            return _report(data, start, end)
        if kind == Kind.STOPPED:
            return _stopped(data, start, end)
        if kind == Kind.HELLO:
            return _hello(data, start, end)
        if kind == Kind.GONE:
            return Gone(_report(data, start, end))
    except struct.error as error:
        raise ProtocolError(f"a {Kind(kind).name} message that is too short: {error}") from None
    raise ProtocolError(f"a message of unknown kind {kind} from the lockstep plugin")


def _report(data: bytes, start: int, end: int) -> Report:
    _, _, flags, now, deadline, pc, overshoot, count = _REPORT.unpack_from(data, start)
    frames: list[tuple[int, bytes]] = []
    console: list[Line] = []
    replies: list[Reply] = []
    at = start + 40
    for _ in range(count):
        t, length, kind, detail = _RECORD.unpack_from(data, at)
        at += 16
        payload = data[at : at + length]
        at += length
        if kind == _FRAME:
            frames.append((t, payload))
        elif kind == _CONSOLE:
            console.append(Line(t, payload, detail == 1))
        elif kind == _REPLY:
            replies.append(Reply(t, _TAG.unpack_from(payload)[0], detail == 0, payload[4:]))
        else:
            raise ProtocolError(f"a record of unknown kind {kind} from the lockstep plugin")
    if at != end:
        raise ProtocolError(f"records of {at - start} bytes in a message of {end - start}")
    if flags > _ALL_FLAGS:
        raise ProtocolError(f"a report with unknown flags {flags:#x}")
    return Report(now, deadline, pc, overshoot, flags, frames, console, replies)


def _stopped(data: bytes, start: int, end: int) -> Stopped:
    _, _, flags, now, pc = _STOPPED.unpack_from(data, start)
    _expect_end("STOPPED", start + _STOPPED.size, end)
    return Stopped(now, pc, bool(flags & 1), bool(flags & 2), bool(flags & 4))


def _hello(data: bytes, start: int, end: int) -> Hello:
    fields = _HELLO.unpack_from(data, start)
    magic, version, api, commands, features, grain, now, qemu_length, target_length = fields[3:]
    if magic != MAGIC:
        raise ProtocolError(f"what answers is no lockstep plugin (magic {magic:#x})")
    if version != VERSION:
        raise VersionError(
            f"the lockstep plugin speaks version {version} of the protocol, this package version {VERSION}",
            hint="they were not built together: install the package again",
        )
    middle = start + _HELLO.size + qemu_length
    _expect_end("HELLO", middle + target_length, end)
    known = frozenset(command for command in Command if commands & 1 << command)
    qemu, target = data[start + _HELLO.size : middle], data[middle:end]
    return Hello(api, known, Feature(features & 7), grain, now, qemu.decode(errors="replace"), target.decode("latin-1"))


def _expect_end(name: str, found: int, end: int) -> None:
    if found != end:
        raise ProtocolError(f"a {name} message whose parts do not add up to its length")


# --- to the guest -------------------------------------------------------------------------------------------

WELCOME = _WELCOME.pack(_WELCOME.size, Kind.WELCOME, 0, MAGIC, VERSION, 0)
"""The answer to HELLO; a grant must follow."""
HOLD = _HEADER.pack(_HEADER.size, Kind.HOLD, 0)
"""Instead of a grant: stop the machine. The guest answers `Stopped`, and after RELEASE it reports again."""
RELEASE = _HEADER.pack(_HEADER.size, Kind.RELEASE, 0)
END = _HEADER.pack(_HEADER.size, Kind.END, 0)
"""Instead of a grant, or while the machine is stopped: QEMU ends. Closing the socket does the same."""


def grant(horizon: int, commands: Sequence[bytes] = ()) -> bytes:
    """Let the guest live up to and including `horizon`. `commands` come from the functions below, in time order, and
    lie between the last horizon and this one, both included."""
    body = b"".join(commands)
    return _GRANT.pack(_GRANT.size + len(body), 17, 0, horizon, len(commands), 0) + body


def frame(t: int, data: bytes, tag: int = 0) -> bytes:
    """The guest's network card receives `data` at `t`; if it can't take it then, it gets it as soon as it can."""
    if not 0 < len(data) <= FRAME_LIMIT:
        raise ValueError(f"a frame of {len(data)} bytes")
    return _COMMAND.pack(t, len(data), 1, 0, tag, 0) + data


def console_input(t: int, data: bytes, tag: int = 0) -> bytes:
    """Typed from `t` on, at the pace of a line with 115200 bit/s, and no faster than the guest reads."""
    return _COMMAND.pack(t, len(data), Command.CONSOLE, 0, tag, 0) + data


def memory_write(t: int, address: int, data: bytes, tag: int = 0) -> bytes:
    """Write to the physical address like a device on the bus would, so it reaches registers as well."""
    _check_memory(len(data))
    return _COMMAND.pack(t, 8 + len(data), Command.WRITE, 0, tag, 0) + _ADDRESS.pack(address) + data


def memory_xor(t: int, address: int, mask: bytes, tag: int = 0) -> bytes:
    """Flip bits of RAM, ROM or flash. The reply has the bytes before, then the bytes after: if they are the same,
    nothing there can be flipped."""
    _check_memory(len(mask))
    return _COMMAND.pack(t, 8 + len(mask), Command.XOR, 0, tag, 0) + _ADDRESS.pack(address) + mask


def memory_read(t: int, address: int, length: int, tag: int) -> bytes:
    """Read `length` bytes from the physical address; they come with the reply."""
    _check_memory(length)
    return _COMMAND.pack(t, _PLACE.size, Command.READ, 0, tag, 0) + _PLACE.pack(address, length)


def power_cut(t: int, address: int, size: int, stores: int, tag: int = 0) -> bytes:
    """The guest's emulator dies, by SIGKILL, at the store of this number (counted from now on) into a stretch of
    physical addresses; 0: at none any more."""
    return _COMMAND.pack(t, _CUT.size, Command.CUT, 0, tag, 0) + _CUT.pack(address, size, stores)


def simple(command: Command, t: int, tag: int = 0) -> bytes:
    """RESET, NMI, PAUSE or RESUME."""
    if command not in _SIMPLE:
        raise ValueError(f"{command.name} needs more than a time")
    return _COMMAND.pack(t, 0, command, 0, tag, 0)


_SIMPLE = frozenset({Command.RESET, Command.NMI, Command.PAUSE, Command.RESUME})


def _check_memory(length: int) -> None:
    if not 0 < length <= MEMORY_LIMIT:
        raise ValueError(f"{length} bytes of memory at once: 1 to {MEMORY_LIMIT} can be read or changed")
