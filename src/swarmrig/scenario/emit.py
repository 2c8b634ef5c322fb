"""Plain values to YAML that reads back as exactly these values, whatever the texts contain."""

from __future__ import annotations

import math
import re
from typing import Any

from swarmrig.scenario.located import core_schema

_PLAIN = re.compile(r"(?:[A-Za-z_/][A-Za-z0-9_./+-]*|[0-9]+(?:\.[0-9]+)?[A-Za-z]+)\Z")
_OTHERS = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false", "null"})
"""Words that readers of YAML 1.1 take for booleans, in any case."""


def block(value: Any, indent: str = "") -> list[str]:
    """Lines in block style; lists of scalars, and empty collections, on one line."""
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(f"{indent}{scalar(key)}:", item, indent)]
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        return [line for item in value for line in _item(item, indent)]
    return [indent + _inline(value)]


def _entry(start: str, value: Any, indent: str) -> list[str]:
    lines = block(value, indent + "  ")
    return [f"{start} {lines[0].strip(' ')}"] if _is_inline(value) else [start, *lines]


def _item(value: Any, indent: str) -> list[str]:
    first, *rest = block(value, indent + "  ")
    return [f"{indent}- {first[len(indent) + 2 :]}", *rest]


def _is_inline(value: Any) -> bool:
    if isinstance(value, dict):
        return not value
    return not (isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(scalar, value))}]"
    return scalar(value)


def scalar(value: Any) -> str:
    """One value on one line; a text is quoted unless it is a plain word."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    is_plain = _PLAIN.match(text) and text.lower() not in _OTHERS and isinstance(core_schema(text), str)
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
