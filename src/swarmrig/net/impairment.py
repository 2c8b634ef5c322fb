"""Changing and checking what a link does to frames: the rules that hold in files and at run time alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from swarmrig.model.network import GilbertElliott, Impairment

MAX_LATENCY_NS = 3_600_000_000_000
_FIELDS = tuple(field.name for field in fields(Impairment))
_RATIOS = ("loss", "duplicate", "reorder", "corrupt")
_DURATIONS = ("latency_ns", "jitter_ns")


def changed(impairment: Impairment, changes: Mapping[str, Any]) -> Impairment:
    """The impairment with some fields replaced; ValueError names what is unknown or out of range.

    `burst` may be given as a mapping of the fields of GilbertElliott, so that changes can travel as JSON.
    """
    values = dict(changes)
    for name in values:
        if name not in _FIELDS:
            import difflib  # not needed in a network process that makes no mistakes

            near = difflib.get_close_matches(name, _FIELDS, 1)
            raise ValueError(f"unknown impairment {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    if isinstance(values.get("burst"), Mapping):
        values["burst"] = _burst(values["burst"])
    result = replace(impairment, **values)
    check(result)
    return result


def check(impairment: Impairment) -> None:
    """Raise ValueError when a value is out of range or of the wrong type."""
    for name in _RATIOS:
        _check_ratio(name, getattr(impairment, name))
    for name in _DURATIONS:
        _check_integer(name, getattr(impairment, name), 0, MAX_LATENCY_NS)
    _check_integer("queue_bytes", impairment.queue_bytes, 0, 1 << 40)
    if impairment.rate_bps is not None:
        _check_integer("rate_bps", impairment.rate_bps, 1, 10**15)
    if not isinstance(impairment.up, bool):
        raise ValueError(f"up is true or false, not {impairment.up!r}")
    if impairment.burst is not None:
        if not isinstance(impairment.burst, GilbertElliott):
            raise ValueError(f"burst has the fields to_bad, to_good, good_loss and bad_loss, not {impairment.burst!r}")
        for field in fields(GilbertElliott):
            _check_ratio(f"burst.{field.name}", getattr(impairment.burst, field.name))


def _burst(values: Mapping[str, Any]) -> GilbertElliott:
    try:
        return GilbertElliott(**values)
    except TypeError as error:
        raise ValueError(f"burst has the fields to_bad, to_good, good_loss and bad_loss: {error}") from error


def _check_ratio(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} lies between 0 and 1, not {value!r}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is a whole number between {low} and {high}, not {value!r}")
