"""Messages between the rig and its network process: JSON behind a length, file descriptors beside it.

A stream socket carries u32 length (little endian) and that many bytes of UTF-8 JSON, an object. Descriptors travel
as SCM_RIGHTS with the first byte of the message that says what they are.
"""

from __future__ import annotations

import json
import struct
from typing import Any

MAX_MESSAGE = 1 << 24
MAX_DESCRIPTORS = 200
"""Per message; the kernel's limit (SCM_MAX_FD) is 253."""

_LENGTH = struct.Struct("<I")


class ControlError(ValueError):
    """Bytes that are no message."""


def encode(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_MESSAGE:
        raise ControlError(f"a message of {len(body)} bytes is too long")
    return _LENGTH.pack(len(body)) + body


class MessageBuffer:
    """Puts messages together from whatever pieces arrive."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages completed by `data`; ControlError when the stream cannot be understood any more."""
        self._data += data
        found = []
        while len(self._data) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._data)
            if size > MAX_MESSAGE:
                raise ControlError(f"a message of {size} bytes is too long")
            if len(self._data) < _LENGTH.size + size:
                break
            found.append(_decode(bytes(self._data[_LENGTH.size : _LENGTH.size + size])))
            del self._data[: _LENGTH.size + size]
        return found


def _decode(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ControlError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ControlError("a message is not an object")
    return message
