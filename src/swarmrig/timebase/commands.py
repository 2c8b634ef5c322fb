"""What a guest can be asked to do where it stands, as control messages name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import Command

Make = Callable[[int, int], bytes]
"""Called with time and tag; returns the command as it stands in a grant."""


def command_from(message: Mapping[str, Any]) -> Make:
    """The command that a message asks for: `kind`, with `address`, `data` (hex) and `size` as it needs them.
    ValueError says what is wrong with it; it is tried here, so that it is the one who asks who hears of it."""
    kind = str(message["kind"])
    if kind not in _MAKERS:
        raise ValueError(f"there is no command {kind!r}: the commands are {', '.join(_MAKERS)}")
    make = _MAKERS[kind](message)
    make(0, 1)
    return make


def _console(message: Mapping[str, Any]) -> Make:
    data = bytes.fromhex(message["data"])
    return lambda t, tag: protocol.console_input(t, data, tag)


def _write(message: Mapping[str, Any]) -> Make:
    address, data = int(message["address"]), bytes.fromhex(message["data"])
    return lambda t, tag: protocol.memory_write(t, address, data, tag)


def _flip(message: Mapping[str, Any]) -> Make:
    address, mask = int(message["address"]), bytes.fromhex(message["data"])
    return lambda t, tag: protocol.memory_xor(t, address, mask, tag)


def _read(message: Mapping[str, Any]) -> Make:
    address, size = int(message["address"]), int(message["size"])
    return lambda t, tag: protocol.memory_read(t, address, size, tag)


def _cut(message: Mapping[str, Any]) -> Make:
    address, size, stores = int(message["address"]), int(message["size"]), int(message["data"], 16)
    return lambda t, tag: protocol.power_cut(t, address, size, stores, tag)


def _simple(command: Command, _: Mapping[str, Any]) -> Make:
    return lambda t, tag: protocol.simple(command, t, tag)


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Make]] = {
    "console": _console,
    "write": _write,
    "flip": _flip,
    "read": _read,
    "cut": _cut,
    "reset": partial(_simple, Command.RESET),
    "nmi": partial(_simple, Command.NMI),
    "pause": partial(_simple, Command.PAUSE),
    "resume": partial(_simple, Command.RESUME),
}
