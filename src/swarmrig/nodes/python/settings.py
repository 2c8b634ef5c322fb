"""The settings of a model: a class of its own, checked where the file is read, made anew where the model lives.

Most often a frozen dataclass of plain values, whose types say what the file may give:

    @dataclass(frozen=True)
    class Settings:
        period: Duration = 1_000_000_000
        sensors: tuple[str, ...] = ("temperature",)

A pydantic model does as well, for what is nested. Standard library only: pydantic is asked where settings are checked,
and where they are a pydantic model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from swarmrig.model.units import parse_duration_ns, parse_rate_bps, parse_ratio, parse_size_bytes


@dataclasses.dataclass(frozen=True)
class Quantity:
    """In the file a text with a unit, or a number; in the model a plain number."""

    parse: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]}


Duration = Annotated[int, Quantity(parse_duration_ns)]
"""`500ms`, `2s`, or a number of seconds in the file; nanoseconds in the model."""
Share = Annotated[float, Quantity(parse_ratio)]
"""`10%` or 0.1."""
Rate = Annotated[int, Quantity(parse_rate_bps)]
"""`250kbit`, or a number of bits per second."""
Size = Annotated[int, Quantity(parse_size_bytes)]
"""`64KiB`, or a number of bytes."""
NodeId = Annotated[str, "a node"]
"""The id of another node, of which the plan of a run sees to it that there is one; empty for none."""


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """Of a model that takes none."""


def make_settings(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """The settings, from what was found right (see `backend`): JSON, whose lists become tuples."""
    if dataclasses.is_dataclass(kind):
        paths = _paths(kind)
        return kind(**{name: Path(value) if name in paths else _frozen(value) for name, value in values.items()})
    return kind.model_validate(values)


@cache
def _paths(kind: type[Any]) -> frozenset[str]:
    """The settings that are paths, with or without one being there."""
    return frozenset(name for name, hint in get_type_hints(kind).items() if hint is Path or Path in get_args(hint))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
