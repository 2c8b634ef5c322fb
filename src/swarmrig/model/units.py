"""Quantities with units, as they are written in scenario files: `50ms`, `10%`, `1Mbit`, `16MiB`.

Every parser returns plain numbers in the unit that its name says and raises ValueError with the accepted
forms. Formatters are their inverse, up to rounding.
"""

from __future__ import annotations

import re

NS_PER_S = 1_000_000_000

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-zµ%]*)\s*\Z")
_DURATION_NS: dict[str, float] = {
    "ns": 1,
    "us": 1e3,
    "µs": 1e3,
    "ms": 1e6,
    "s": 1e9,
    "m": 60e9,
    "min": 60e9,
    "h": 3600e9,
}
_RATE_BPS: dict[str, float] = {"bit": 1, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
_SIZE_BYTES: dict[str, float] = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip


def parse_duration_ns(value: str | int | float) -> int:
    """Nanoseconds of `5ms`, `1.5s`, `2m`, `1h`; a bare number is seconds."""
    return round(_scaled(value, _DURATION_NS, "s", "a duration such as 50ms, 1.5s or 2m"))


def parse_rate_bps(value: str | int | float) -> int:
    """Bits per second of `250kbit`, `1Mbit`; a bare number is bit/s. Must be positive."""
    rate = round(_scaled(value, _RATE_BPS, "bit", "a rate such as 250kbit or 1Mbit"))
    if rate <= 0:
        raise ValueError("a rate must be greater than zero")
    return rate


def parse_size_bytes(value: str | int) -> int:
    """Bytes of `16MiB`, `4kB`; a bare number is bytes."""
    return round(_scaled(value, _SIZE_BYTES, "B", "a size such as 64KiB or 16MiB"))


def parse_ratio(value: str | int | float) -> float:
    """A share in 0..1 of `10%`, `0.1`."""
    ratio = _scaled(value, {"": 1.0, "%": 0.01}, "", "a share such as 0.5% or 0.005")
    if not 0.0 <= ratio <= 1.0:
        raise ValueError("a share lies between 0 and 1 (0% and 100%)")
    return ratio


def format_duration(ns: int) -> str:
    """The shortest exact form: 5000000 -> `5ms`."""
    for unit, scale in (("h", 3600 * NS_PER_S), ("m", 60 * NS_PER_S), ("s", NS_PER_S),
                        ("ms", 1_000_000), ("us", 1_000)):  # fmt: skip
        if ns and ns % scale == 0:
            return f"{ns // scale}{unit}"
    return f"{ns}ns" if ns else "0s"


def format_seconds(ns: int) -> str:
    """Seconds for people: 1234567890 -> `1.235 s`."""
    return f"{ns / NS_PER_S:.3f} s"


def format_rate(bps: int) -> str:
    """The shortest exact form: 250000 -> `250kbit`."""
    for unit, scale in (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 10**3)):
        if bps % scale == 0:
            return f"{bps // scale}{unit}"
    return f"{bps}bit"


def _scaled(value: str | int | float, units: dict[str, float], bare: str, expected: str) -> float:
    if isinstance(value, bool):
        raise ValueError(f"expected {expected}, got {value!r}")
    if isinstance(value, int | float):
        number, unit = float(value), bare
        if number < 0 or number != number or number == float("inf"):
            raise ValueError(f"expected {expected}, got {value!r}")
    else:
        match = _NUMBER.match(value)
        if not match:
            raise ValueError(f"expected {expected}, got {value!r}")
        number, unit = float(match[1]), match[2] or bare
    if unit not in units:
        raise ValueError(f"unknown unit {unit!r}: expected {expected}")
    return number * units[unit]
