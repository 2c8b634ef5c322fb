"""Values of any origin as JSON and XML can hold them: plugins put what they like into `measured`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_DEPTH = 32


def plain(value: Any, depth: int = 0) -> Any:
    """The value made of dicts with text keys, lists, text, numbers, booleans and None only; what is none of
    these becomes its `str`, a number that JSON lacks (NaN, infinity) becomes None."""
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if depth >= _MAX_DEPTH:
        return str(value)
    if isinstance(value, Mapping):
        return {str(plain(key, depth + 1)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Set):
        return [plain(item, depth + 1) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return str(value)


def json_text(document: Mapping[str, Any]) -> str:
    """Indented JSON in ASCII, ending in a line end."""
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def xml_text(text: str) -> str:
    """The text without characters that XML 1.0 forbids; they are shown as U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
