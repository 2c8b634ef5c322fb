"""What each guest was given, and when: with it one guest can live its life again, alone, to the byte.

`<device>.inputs` begins with MAGIC. Then come records of the form that commands have in a GRANT (lockstep/PROTOCOL.md):
the commands that the guest was given, in order and at its own times, as they were sent. Two kinds of record stand
between them: POWER_ON (its `t` is the network time at which the guest's clock showed 0) and END (its `t` is how far
the guest lived). A guest that is switched off and on again has several lives in one file. How far guests were allowed
to run at a time is not recorded: what they do does not depend on it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import SwarmrigError
from swarmrig.net.growing import GrowingFile
from swarmrig.timebase.protocol import MEMORY_LIMIT, Command

MAGIC = b"swarmrig inputs 1\n"
POWER_ON, END = 0x100, 0x101
SUFFIX = ".inputs"

_RECORD = struct.Struct("<qIHHII")
_BUFFER = 1 << 16
_PAYLOAD_LIMIT = MEMORY_LIMIT + 8
_COMMANDS = frozenset(map(int, Command))


class RecordingError(SwarmrigError):
    """A file that is no recording of inputs, or a damaged one."""


class InputLog:
    """Writes the recording of one guest. `add` is called for every grant: it costs an append."""

    def __init__(self, path: Path) -> None:
        """Creates the file; OSError when that fails."""
        self._file = GrowingFile(path)
        self._waiting = bytearray(MAGIC)
        self._alive = False

    @property
    def failure(self) -> str | None:
        """Why the recording is incomplete (disk full)."""
        return self._file.failure

    def begin(self, network_ns: int) -> None:
        """A life begins: the guest's clock shows 0 at this network time."""
        self._alive = True
        self._waiting += _RECORD.pack(network_ns, 0, POWER_ON, 0, 0, 0)

    def add(self, commands: Sequence[bytes]) -> None:
        """The guest is given these, in order; each as protocol.frame, console_input and so on made it."""
        for command in commands:
            self._waiting += command
        if len(self._waiting) > _BUFFER:
            self.flush()

    def end(self, guest_ns: int) -> None:
        """The life is over; what it was given for later than this, it did not live to see."""
        if self._alive:
            self._alive = False
            self._waiting += _RECORD.pack(guest_ns, 0, END, 0, 0, 0)
            self.flush()

    def go_on_in(self, directory: Path) -> None:
        """Write on in a copy, of the same name; the file so far stays as it is. OSError when that fails."""
        self.flush()
        self._file.go_on_in(directory / self._file.path.name)

    def close(self) -> None:
        self.flush()
        self._file.close()

    def flush(self) -> None:
        """Write all so far; never raises."""
        self._file.write(bytes(self._waiting))
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class Input:
    """One timed command, at the guest's own time."""

    t_ns: int
    kind: Command
    payload: bytes
    command: bytes
    """As it stands in a GRANT."""


@dataclass(frozen=True, slots=True)
class Life:
    """From power-on to its end."""

    power_on_ns: int
    """Network time of the guest's time 0."""
    inputs: tuple[Input, ...]
    end_ns: int | None
    """How far the guest lived, by its own clock. None: the recording broke off."""


def read_recording(path: Path) -> tuple[Life, ...]:
    """The lives of a guest. RecordingError when the file is missing or is none; one that breaks off in the middle (its
    writer was killed) is read as far as it goes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    try:
        return parse_recording(data)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error.message}") from None


def parse_recording(data: bytes) -> tuple[Life, ...]:
    """As `read_recording`, of the file's content."""
    if not data.startswith(MAGIC):
        raise RecordingError("is no recording of inputs (of this version)")
    lives: list[Life] = []
    begun: int | None = None
    inputs: list[Input] = []
    for t_ns, kind, payload, raw in _records(data):
        if kind == POWER_ON and begun is None:
            begun, inputs = t_ns, []
        elif kind == END and begun is not None:
            lives.append(Life(begun, tuple(one for one in inputs if one.t_ns <= t_ns), t_ns))
            begun = None
        elif kind in _COMMANDS and begun is not None and (not inputs or inputs[-1].t_ns <= t_ns):
            inputs.append(Input(t_ns, Command(kind), payload, raw))
        else:
            raise RecordingError(f"damaged: a record of kind {kind:#x} for {t_ns} ns where none can be")
    if begun is not None:
        lives.append(Life(begun, tuple(inputs), None))
    return tuple(lives)


def _records(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """(time, kind, payload, all of it) of each whole record."""
    at = len(MAGIC)
    while len(data) - at >= _RECORD.size:
        t_ns, length, kind, _, _, _ = _RECORD.unpack_from(data, at)
        if length > _PAYLOAD_LIMIT or t_ns < 0:
            raise RecordingError(f"damaged: a record of {length} bytes for {t_ns} ns")
        end = at + _RECORD.size + length
        if end > len(data):
            return
        yield t_ns, kind, data[at + _RECORD.size : end], data[at:end]
        at = end
