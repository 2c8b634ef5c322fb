"""Parameters of checks, and bounds of what they count or measure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from swarmrig.api.params import DurationNs, NoParams, Params, Share

__all__ = ["Bounds", "DurationNs", "NoParams", "Params", "Range", "Share", "describe_bounds", "within_bounds"]


class Bounds(Params):
    """How much is right: at least `min`, at most `max`, each optional."""

    min: float | None = Field(default=None, ge=0)
    max: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is greater than max ({self.max:g})")
        return self


def _exactly(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"min": value, "max": value} if is_number else value


Range = Annotated[Bounds, BeforeValidator(_exactly)]
"""`{min: 2, max: 5}`, or a plain number for exactly that."""


def within_bounds(value: float, bounds: dict[str, float | None]) -> bool:
    """Does the value lie in dumped `Bounds`?"""
    low, high = bounds["min"], bounds["max"]
    return (low is None or value >= low) and (high is None or value <= high)


def describe_bounds(bounds: dict[str, float | None]) -> str:
    """`exactly 3`, `at least 2`, `at most 5`, `2 to 5`."""
    low, high = bounds["min"], bounds["max"]
    if low is not None and high is not None:
        return f"exactly {low:g}" if low == high else f"{low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"
