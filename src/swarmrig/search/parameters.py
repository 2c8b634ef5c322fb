"""What the parameters of faults are drawn from: ladders of values, the simplest first.

They follow from a kind's config model (types and bounds of its fields). What no type tells, such as which filter is
worth a try, stands in one table; kinds whose parameters only an author can choose are left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from swarmrig.api.params import DurationNs, Share
from swarmrig.model.units import format_duration

Rung = Mapping[str, Any]
"""Values of some parameters."""
Ladder = tuple[Rung, ...]
"""Rungs that exclude each other, the simplest first."""

TARGETS = ("node", "between", "sets")
"""Fields that say to whom it is done."""
_WORDS = ("says", "for")
"""Fields with which an author says what he expects."""
_SHARES = (1.0, 0.5, 0.2)
_DURATIONS = ("500ms", "1s", "2s", "200ms")
_RUNGS = 5
"""So many values of an integer are tried."""

TABLE: Mapping[str, Sequence[Ladder]] = {
    "blackhole": ((({"filter": "udp"}), {"filter": "arp"}), ({"one_way": False}, {"one_way": True})),
    "crash": (({"restart": {"after": "1s"}}, {"restart": {"after": "3s"}}),),
    "degrade": (
        ({"loss": 0.5}, {"loss": 0.1}, {"latency": "200ms"}, {"latency": "50ms", "jitter": "40ms"}, {"rate": "50kbit"}),
        ({"one_way": False}, {"one_way": True}),
    ),
    "flash_corrupt": (({"partition": "nvs", "bytes": 16}, {"partition": "nvs", "bytes": 256}),),
    "flash_bit_rot": (({"partition": "nvs", "bits": 1}, {"partition": "nvs", "bits": 64}),),
    "flash_erase": (({"partition": "nvs"},),),
    "memory_fill": (({"size": 4, "byte": 255}, {"size": 64, "byte": 255}),),
    "memory_flip": (({"bits": 1}, {"bits": 8}, {"bits": 64}),),
    "power_cut": (tuple({"store": 1 << power} for power in range(8)),),
    "replay": (({"last": "1s"}, {"last": "2s"}),),
}
"""In place of what would follow from the model."""

LEFT_OUT: Mapping[str, str] = {
    "console_type": "which text is typed, and what it answers, is the author's to say",
    "flash_torn_write": "what is written where is the author's to say",
    "heal": "every fault that is drawn says itself how long it lasts",
    "inject": "which frames is the author's to say",
    "nvs_set": "which setting gets which value is the author's to say",
    "nvs_torn_set": "which setting gets which value is the author's to say",
}


class UndrawableError(ValueError):
    """A parameter for which no value can be made up; the message says which."""


def ladders_of(kind: str, model: type[BaseModel]) -> tuple[Ladder, ...]:
    """From which values to draw what is not the target. UndrawableError when that is not known."""
    if kind in LEFT_OUT:
        raise UndrawableError(LEFT_OUT[kind])
    if kind in TABLE:
        return tuple(TABLE[kind])
    found = []
    for name, field in model.model_fields.items():
        if name in TARGETS or name in _WORDS:
            if name == "says" and field.is_required():
                raise UndrawableError(f"its parameter `{name}` is the author's to say")
            continue
        values = _values(field)
        if values is None and field.is_required():
            raise UndrawableError(f"its parameter `{name}` is the author's to say")
        if values:
            found.append(tuple({name: value} for value in values))
    return tuple(found)


def _values(field: FieldInfo) -> tuple[Any, ...] | None:
    """Some values, the simplest (the default, if there is one) first; None when the type tells none."""
    default = field.default
    if default is None:
        return None  # an option that most runs go without
    values = _of_type(field)
    if values is None or default is PydanticUndefined:
        return values
    if _is(field, DurationNs):
        default = format_duration(default)
    default = getattr(default, "value", default)
    return (default, *(value for value in values if value != default))


def _of_type(field: FieldInfo) -> tuple[Any, ...] | None:
    kind = field.annotation
    if _is(field, DurationNs):
        return _DURATIONS
    if _is(field, Share):
        return _SHARES
    if kind is bool:
        return (False, True)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(item.value for item in kind)
    if get_origin(kind) is Literal:
        return get_args(kind)
    return _integers(field) if kind is int else None


def _is(field: FieldInfo, alias: Any) -> bool:
    """Is the field of this annotated type? Its marks are then among the field's."""
    _, *marks = get_args(alias)
    return bool(marks) and marks[0] in field.metadata


def _integers(field: FieldInfo) -> tuple[int, ...]:
    """The lower bound, and then in ever larger steps up to the upper one."""
    low, high = 0, 1 << 2 * _RUNGS
    for mark in field.metadata:
        if isinstance(mark, Ge | Gt):
            low = int(str(mark.ge if isinstance(mark, Ge) else mark.gt)) + isinstance(mark, Gt)
        elif isinstance(mark, Le | Lt):
            high = int(str(mark.le if isinstance(mark, Le) else mark.lt)) - isinstance(mark, Lt)
    steps = [low, *(low - 1 + (1 << 2 * power) for power in range(1, _RUNGS))]
    return tuple(value for value in steps if low <= value <= high)
