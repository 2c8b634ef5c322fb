"""Field types of the native format: quantities with units, names, paths; each brings its JSON Schema."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict, StringConstraints, WithJsonSchema

from swarmrig.model.units import NS_PER_S, parse_duration_ns, parse_rate_bps, parse_ratio, parse_size_bytes

LONGEST_DURATION_NS = 30 * 24 * 3600 * NS_PER_S
_HUGE = 1 << 62


def _quantity(parse: Callable[[Any], Any], expected: str, most: float = _HUGE) -> BeforeValidator:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"expected {expected}")
        try:
            number = parse(value)
        except OverflowError:
            number = most + 1
        if number > most:
            raise ValueError(f"expected {expected}, and not that large")
        return number

    return BeforeValidator(convert)


def _schema(units: str, description: str, examples: list[Any], **limits: int) -> WithJsonSchema:
    pattern = rf"^\s*([0-9]+(\.[0-9]+)?|\.[0-9]+)\s*({units})?\s*$"
    return WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0, **limits}, {"type": "string", "pattern": pattern}],
            "description": description,
            "examples": examples,
        }
    )


DurationNs = Annotated[
    int,
    _quantity(parse_duration_ns, "a duration such as 50ms, 1.5s or 2m", LONGEST_DURATION_NS),
    _schema("ns|us|µs|ms|s|m|min|h", "A duration; a bare number is seconds.", ["50ms", "1.5s", "2m"]),
]
Share = Annotated[
    float,
    _quantity(parse_ratio, "a share such as 0.5% or 0.005"),
    _schema("%", "A share between 0 and 1, or in percent.", ["0.5%", 0.005], maximum=1),
]
RateBps = Annotated[
    int,
    _quantity(parse_rate_bps, "a rate such as 250kbit or 1Mbit"),
    _schema("bit|kbit|Mbit|Gbit", "A rate; a bare number is bit/s.", ["250kbit", "1Mbit"]),
]
SizeBytes = Annotated[
    int,
    _quantity(parse_size_bytes, "a size such as 64KiB or 16MiB"),
    _schema("B|kB|MB|GB|KiB|MiB|GiB", "A size; a bare number is bytes.", ["64KiB", "16MiB"]),
]
FlashOffset = Annotated[
    int,
    _quantity(parse_size_bytes, "a flash offset such as 0x8000"),
    _schema("B|kB|MB|KiB|MiB", "A place in flash, in bytes.", [0x8000, "128KiB"]),
]

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
NODE_ID_PATTERN = r"^[A-Za-z](?:-?[A-Za-z0-9_]){0,31}$"
RESERVED_IDS = frozenset({"aggregator", "lan", "services"})
"""Names of the rig's own devices and switches."""
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}\Z")


def _check_name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN.strip("^$"), value):
        hint = f"; for example {safe_name(value)!r}" if value.strip() else ""
        raise ValueError(
            "expected a name that is safe in paths: letters, digits, '.', '_', '-', at most 64, no leading '.'" + hint
        )
    return value


def safe_name(text: str) -> str:
    """A name that is safe in paths, as close to the text as that allows; `unnamed` when nothing is left."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:64]
    return cleaned.rstrip(".-") or "unnamed"


def node_id_fault(node_id: str) -> str | None:
    """What is wrong with a node's id, None if nothing."""
    if node_id in RESERVED_IDS:
        return f"{node_id!r} is a name of the rig's own"
    if not re.fullmatch(NODE_ID_PATTERN.strip("^$"), node_id):
        return "expected an id of a letter, then letters, digits, '_' and single '-', at most 32"
    return None


def _check_mac(value: str) -> str:
    if not _MAC.match(value):
        raise ValueError("expected a MAC address such as AA:BB:CC:DD:EE:FF")
    return value.replace("-", ":").upper()


def _check_channel(value: int) -> int:
    if not (1 <= value <= 14 or 36 <= value <= 177):
        raise ValueError("expected a channel in 1..14 or 36..177")
    return value


def _check_scenario(value: int) -> int:
    if not (0 <= value <= 9 or value == 255):
        raise ValueError("expected a mock scenario in 0..9, or 255 for all of them in turn")
    return value


def _check_path(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("expected the path of a file")
    return value


def _command(value: Any) -> Any:
    """`make -C fw` or a list of words; no shell is involved."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"expected a command: {error}") from error


Integer = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
U8 = Annotated[Integer, Field(ge=0, le=0xFF)]
Seed = Annotated[Integer, Field(ge=0, le=2**63 - 1)]
Port = Annotated[Integer, Field(ge=1, le=0xFFFF)]
Text = Annotated[str, StringConstraints(max_length=1024)]
Name = Annotated[str, BeforeValidator(lambda value: _check_name(value) if isinstance(value, str) else value),
                 WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]  # fmt: skip
Mac = Annotated[str, BeforeValidator(lambda value: _check_mac(value) if isinstance(value, str) else value),
                WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"})]  # fmt: skip
Channel = Annotated[
    Integer,
    Field(json_schema_extra={"anyOf": [{"minimum": 1, "maximum": 14}, {"minimum": 36, "maximum": 177}]}),
    BeforeValidator(lambda value: _check_channel(value) if type(value) is int else value),
]
MockScenario = Annotated[
    Integer,
    Field(json_schema_extra={"anyOf": [{"minimum": 0, "maximum": 9}, {"const": 255}]}),
    BeforeValidator(lambda value: _check_scenario(value) if type(value) is int else value),
]
FilePath = Annotated[str, BeforeValidator(lambda value: _check_path(value) if isinstance(value, str) else value),
                     WithJsonSchema({"type": "string", "minLength": 1})]  # fmt: skip
Command = Annotated[
    tuple[Text, ...],
    BeforeValidator(_command),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}]}),
]
