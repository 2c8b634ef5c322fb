"""Quantities in JSON Schemas: which one a schema takes, and defaults as a file would write them.

A model keeps a duration in ns, while a bare number in a file is seconds: its default is `60s` to whoever reads or
completes a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swarmrig.model.units import (
    format_duration,
    format_rate,
    parse_duration_ns,
    parse_rate_bps,
    parse_ratio,
    parse_size_bytes,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What has a unit in files."""

    name: str
    parse: Callable[[str], float]
    written: Callable[[Any], Any]
    """A value of the model as a file would have it."""


def _written_size(size: int) -> str:
    units = ((unit, scale) for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)) if size % scale == 0)
    return next((f"{size // scale}{unit}" for unit, scale in units if size), str(size))


QUANTITIES = (
    Quantity("duration", parse_duration_ns, format_duration),
    Quantity("share", parse_ratio, lambda share: f"{share * 100:g}%" if share else 0),
    Quantity("rate", parse_rate_bps, format_rate),
    Quantity("size", parse_size_bytes, _written_size),
)


def quantity_of(schema: Mapping[str, Any]) -> Quantity | None:
    """The quantity that a schema takes, which its examples tell; None when it is none."""
    for part in (schema, *schema.get("anyOf", ())):
        shown = next((example for example in part.get("examples", ()) if isinstance(example, str)), "")
        if shown[:1].isdigit() and not shown[-1:].isdigit():
            return next((quantity for quantity in QUANTITIES if _takes(quantity, shown)), None)
    return None


def _takes(quantity: Quantity, text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def with_written_defaults(schema: Json) -> Json:
    """The schema, changed: quantities have their defaults with units; sections, whose keys have their own, none."""
    for part in _parts(schema):
        default = part.get("default")
        if isinstance(default, dict) and default:
            del part["default"]
        elif isinstance(default, int | float) and not isinstance(default, bool):
            quantity = quantity_of(part)
            part["default"] = default if quantity is None else quantity.written(default)
    return schema


def _parts(schema: Any) -> Iterator[Json]:
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _parts(part)
