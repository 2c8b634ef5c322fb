"""Counters as programs print them: `key=value` pairs on a line, numbers where they are numbers."""

from __future__ import annotations

import math
import re

Value = int | float | str

_PAIR = re.compile(r"([A-Za-z_][\w.-]*)=(\S*)")
_INTEGER = re.compile(r"[-+]?[0-9]{1,20}\Z")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,4})?\Z")
_LARGEST = 2**64 - 1
"""No counter is larger: beyond it is an overflow, which is no number to judge by."""


def parse_pairs(line: str) -> dict[str, Value]:
    """The pairs of a line, a repeated key with its last value; a comma or semicolon that ends a value is not of it."""
    return {key: parse_value(text.rstrip(",;")) for key, text in _PAIR.findall(line)}


def parse_value(text: str) -> Value:
    """An integer or a decimal as such; all else (`nan`, `inf`, an overflow, units) stays text."""
    if _INTEGER.match(text):
        number: int | float = int(text)
    elif _DECIMAL.match(text):
        number = float(text)
    else:
        return text
    return number if is_number(number) else text


def is_number(value: object) -> bool:
    """Whether it can be judged: a finite number that a 64-bit counter can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= _LARGEST
