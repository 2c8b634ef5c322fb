"""Printing. A reader that goes away (`| head`, a closed terminal) silences the output and changes no exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.EIO)
"""What a write to a closed pipe, and to a terminal that is gone, ends with."""

_JSON_CONTROL = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""What steers a terminal and JSON would leave as it is."""
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Print one text and see it out."""
    target = sys.stdout if stream is None else stream
    try:
        target.write(text + "\n")
        target.flush()
    except OSError as error:
        if error.errno not in _GONE:
            raise
        _silence(target)
    except UnicodeEncodeError:
        say(text.encode("ascii", "backslashreplace").decode("ascii"), stream=target)


def say_json(value: Any) -> None:
    """Print a value as indented JSON."""
    say(json.dumps(jsonable(value), indent=2, ensure_ascii=False).translate(_JSON_CONTROL))


def say_json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    say(json.dumps(jsonable(value), separators=(",", ":"), ensure_ascii=False).translate(_JSON_CONTROL))


def harmless(text: str) -> str:
    """`text` without what would steer a terminal: a guest's console may say anything."""
    return text.translate(_CONTROL)


def counted(number: int, thing: str) -> str:
    """`1 check`, `2 checks`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def flush(code: int, *, broken: int) -> int:
    """See everything out at the end; a disk that takes no more output is an error, a closed pipe is none."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            _silence(stream)
            code = code or (0 if error.errno in _GONE else broken)
    return code


def jsonable(value: Any) -> Any:
    """Model values as JSON has them: dataclasses and mappings as objects, tuples as arrays, paths as strings."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(jsonable(item) for item in value)
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return str(value)


def colours_wanted(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours and nobody asked for none (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _silence(stream: TextIO) -> None:
    """Point the descriptor to nowhere, so that nothing written later fails (nor the interpreter's last flush)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
