"""Parameters of checks and faults: pydantic models whose `bare` names the field that a plain value fills."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from swarmrig.model.units import format_duration, parse_duration_ns, parse_ratio

DurationNs = Annotated[
    int,
    BeforeValidator(parse_duration_ns),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}], "examples": ["500ms", "2s"]}),
]
"""`10s`, `500ms` or a number of seconds in the file; ns in the plugin."""
Share = Annotated[
    float,
    BeforeValidator(parse_ratio),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}], "examples": ["10%", 0.1]}
    ),
]
"""`10%` or 0.1."""


class Params(BaseModel):
    """Base of the parameters of every built-in check and fault: unknown keys are refused, docstrings of fields become
    their descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    bare: ClassVar[str | None] = None


class NoParams(Params):
    """It takes no parameters."""
