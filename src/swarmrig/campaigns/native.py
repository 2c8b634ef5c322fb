"""The campaign file as pydantic models: what each key means, its type, its limits, its default.

The models check one section each; the JSON Schema derives from them. What goes across sections is checked in `load`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

from swarmrig.campaigns.seeds import Seeds, parse_seeds
from swarmrig.scenario.native import Section
from swarmrig.scenario.quantities import DurationNs, FilePath, Integer, Name, SizeBytes, Switch, Text

FORMAT_VERSION = 1
DEFAULT_LIMIT = 10_000
DEFAULT_RETRIES = 2
SCENARIO, SEED, INCLUDED = "scenario", "seed", "include"
"""What matches may name beside axes."""


def _setting(value: Any) -> Any:
    if isinstance(value, str):
        path, separator, _ = value.partition("=")
        if not separator or not path.strip():
            raise ValueError("expected a setting, path=value, for example network.link.loss=1%")
    return value


def _settings(value: Any) -> Any:
    """One setting, or a list of them."""
    return [value] if isinstance(value, str) else value


def _axis(value: Any) -> Any:
    """A list of settings is labelled by what they set."""
    if not isinstance(value, list):
        return value
    if wrong := [each for each in value if not isinstance(each, str) or "=" not in each]:
        raise ValueError(f"{wrong[0]!r} is no setting: expected path=value, or a mapping of labels to them")
    paths = {each.partition("=")[0] for each in value}
    labels = [each.partition("=")[2] if len(paths) == 1 else each for each in value]
    if len(set(labels)) < len(labels):
        raise ValueError("expected settings that differ")
    return dict(zip(labels, value, strict=True))


def _scenario(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else value


def _seeds(value: Any) -> Any:
    return value if isinstance(value, Seeds) else parse_seeds(value)


def _day(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("expected a day such as 2027-01-31")


def _wanted(value: Any) -> Any:
    """One label, or several; a number is a label, too."""
    found = value if isinstance(value, list) else [value]
    if not found or any(isinstance(each, bool | dict | list) or each is None for each in found):
        raise ValueError("expected a label, or a list of labels")
    return tuple(str(each) for each in found)


Setting = Annotated[Text, BeforeValidator(_setting)]
Settings = Annotated[
    tuple[Setting, ...],
    BeforeValidator(_settings),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "="}, {"type": "array", "items": {"type": "string"}}]}),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
AxisName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
Value = Annotated[
    tuple[Text, ...],
    BeforeValidator(_settings),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Of an axis: settings, or, of the axis `firmware`, the path of a file."""
Axis = Annotated[
    dict[Label, Value],
    BeforeValidator(_axis),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "="}},
                {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {
                        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
                    },
                },
            ]
        }
    ),
]
SeedsField = Annotated[
    Seeds,
    PlainValidator(_seeds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+\.\.\d+$"},
                {"type": "array", "minItems": 1, "items": {"type": ["integer", "string"]}},
            ],
            "examples": ["1..20", [7, 11]],
        }
    ),
]
Wanted = Annotated[
    tuple[str, ...],
    BeforeValidator(_wanted),
    WithJsonSchema(
        {"anyOf": [{"type": ["string", "number"]}, {"type": "array", "items": {"type": ["string", "number"]}}]}
    ),
]
Match = Annotated[dict[str, Wanted], Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class ResourcesEntry(Section):
    """What a run needs of a machine while it runs. Default: derived from the scenario."""

    cores: Annotated[float, Field(gt=0, le=1024)] | None = Field(None, description="Cores. In virtual time: 1.")
    memory: SizeBytes | None = Field(None, description="Memory of the run with all of its nodes, such as 512MiB.")
    kvm: Switch | None = Field(None, description="A machine where KVM runs guests.")
    docker: Switch | None = Field(None, description="A machine with a container engine.")


class ScenarioEntry(Section):
    """A scenario, and what holds for its runs only."""

    run: FilePath = Field(description="A scenario file, relative to this one, or a preset.")
    overrides: Settings = Field((), alias="set", description="Settings of all of its runs.")
    seeds: SeedsField | None = Field(None, description="Seeds of its runs, in place of the campaign's.")
    resources: ResourcesEntry = Field(ResourcesEntry.model_validate({}), description="What its runs need.")
    timeout: DurationNs | None = Field(None, gt=0, description="How long a run of it may take.")


class IncludeEntry(Section):
    """A variant beside those of the matrix."""

    label: Label = Field(description="What it is called.")
    overrides: Settings = Field(alias="set", description="Its settings.")
    scenarios: tuple[FilePath, ...] | None = Field(None, description="Of these scenarios only. Default: all.")
    seeds: SeedsField | None = Field(None, description="Its seeds. Default: those of the scenario.")


class QuarantineEntry(Section):
    """Runs whose verdict is told, and does not count."""

    match: Match = Field(description="Which runs: axis, `scenario` or `seed` to a label or several; all must fit.")
    reason: Text = Field(min_length=1, description="Why, for whoever reads the report.")
    until: Day | None = Field(None, description="The last day. From the next on it counts again. Default: for ever.")


class CampaignFile(Section):
    """A campaign: scenarios × matrix × seeds × repetitions."""

    campaign: Literal[1] = Field(description="Version of this format.")
    name: Name | None = Field(None, description="Name of directories and reports. Default: the file's name.")
    scenarios: Annotated[tuple[Annotated[ScenarioEntry, BeforeValidator(_scenario)], ...], Field(min_length=1)] = Field(
        description="The scenarios: files relative to this one, or presets.",
    )
    overrides: Settings = Field(
        (), alias="set", description="Settings of every run: path=value, as `run --set` has them."
    )
    matrix: dict[AxisName, Axis] = Field(
        {},
        description="Axis -> values: a list of settings, or labels with one setting or several. On the axis `firmware` "
        "a label's value may be the path of an image, for all nodes that have none of their own.",
    )
    exclude: tuple[Match, ...] = Field((), description="Combinations that are left out.")
    include: tuple[IncludeEntry, ...] = Field((), description="Variants beside those of the matrix.")
    seeds: SeedsField | None = Field(None, description="Seeds: 1..20, or a list. Default: each scenario's own.")
    repetitions: Annotated[Integer, Field(ge=1, le=1000)] = Field(
        1, description="How often each is run, to find flaky ones."
    )
    resources: ResourcesEntry = Field(
        ResourcesEntry.model_validate({}), description="What every run needs of a machine."
    )
    timeout: DurationNs | None = Field(
        None, gt=0, description="How long a run may take. Default: 10m, and by the machine's clock the duration, too."
    )
    retries: Annotated[Integer, Field(ge=0, le=20)] = Field(
        DEFAULT_RETRIES, description="How often a run is tried again that the machine, an emulator or the rig failed."
    )
    keep: Literal["all", "failed"] = Field(
        "all", description="Which run directories stay: all, or of what did not pass."
    )
    quarantine: tuple[QuarantineEntry, ...] = Field((), description="Runs that do not count, why, and until when.")
    limit: Annotated[Integer, Field(ge=1, le=10_000_000)] = Field(
        DEFAULT_LIMIT, description="More runs than these are refused, before they are multiplied."
    )


def campaign_schema() -> dict[str, Any]:
    """The JSON Schema of campaign files."""
    found = CampaignFile.model_json_schema(by_alias=True)
    scenarios = found["properties"]["scenarios"]
    scenarios["items"] = {"anyOf": [{"type": "string", "minLength": 1}, scenarios["items"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
