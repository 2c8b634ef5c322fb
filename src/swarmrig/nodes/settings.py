"""Settings that several kinds of nodes have: words and variables for programs, and where a program is in the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from swarmrig.api.nodes import LaunchContext
from swarmrig.model.network import NetworkPlan
from swarmrig.model.units import parse_size_bytes

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")


def _words(value: object) -> object:
    """Numbers and truth values as YAML writes them are texts here."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _plain(value: str) -> str:
    if "\0" in value:
        raise ValueError("NUL is not possible here")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from error
    return value


def _variables(values: dict[str, str]) -> dict[str, str]:
    for name in values:
        if not _VARIABLE.match(name):
            raise ValueError(f"{name!r} is no name of an environment variable")
    return values


def parsed_size(value: object) -> object:
    """`64MiB` or a number of bytes; what is neither is left for the field's type to refuse."""
    return parse_size_bytes(value) if isinstance(value, str | int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_words), AfterValidator(_plain)]
Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression."""
Variables = Annotated[dict[str, Text], AfterValidator(_variables)]


class Part(BaseModel):
    """Base of settings: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def place_variables(context: LaunchContext) -> Mapping[str, str]:
    """What every program is told of its place in the run."""
    return {
        "SWARMRIG_NODE": context.device.name,
        "SWARMRIG_ADDRESS": context.device.ip,
        "SWARMRIG_TARGET": context.target_ip,
        "SWARMRIG_AGGREGATOR": context.aggregator_ip,
        "SWARMRIG_PORT": str(context.scenario.aggregator_port),
    }


def addresses_of(plan: NetworkPlan) -> Mapping[str, str]:
    """Device to address, so that everybody on the fabric is found by name."""
    return {device.name: device.ip for device in plan.devices if device.ip}
