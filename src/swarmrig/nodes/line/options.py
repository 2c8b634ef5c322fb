"""What a scenario may say about a line node."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from swarmrig.api.params import DurationNs
from swarmrig.nodes.settings import Part, Text, Variables


class Transport(StrEnum):
    """What the program speaks the protocol over."""

    SOCKET = "socket"
    STDIO = "stdio"


def _json_able(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(settings, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings are told as JSON: {error}") from error
    return settings


class LineOptions(Part):
    """Settings of a line node."""

    command: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments; words, no shell.")
    environment: Variables = Field({}, description="Environment variables by name, beside those of the rig.")
    working_dir: Path = Field(
        Path(), description="Its working directory, and where a program with a slash is. Default: the file's folder."
    )
    settings: Annotated[dict[str, Any], AfterValidator(_json_able)] = Field(
        default_factory=dict, description="What the program is told with INIT, as `settings`."
    )
    transport: Transport = Field(
        Transport.SOCKET,
        description="`socket`: descriptor 3, as SWARMRIG_LINE_FD says; `stdio`: standard input and output.",
    )
    step: DurationNs = Field(
        10_000_000, ge=1_000, description="How long a step is, for a program that does not say when it acts next."
    )
    deadline: DurationNs = Field(
        5_000_000_000, ge=1_000_000, le=20_000_000_000, description="How long an answer may take, by the wall's clock."
    )
    start_deadline: DurationNs = Field(
        30_000_000_000, ge=1_000_000, description="How long it may take to say READY, by the wall's clock."
    )


def options_of(values: Any) -> LineOptions:
    """The model of a specification's options, whose values are the model's own already."""
    given = {**values, "transport": Transport(values.get("transport", Transport.SOCKET))}
    return LineOptions.model_construct(**{"settings": {}, **given})
