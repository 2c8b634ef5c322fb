"""The suite file as pydantic models: what each key means, its type, its limits, its default.

The models check one section each; the JSON Schema derives from them. What goes across sections is checked in `load`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from swarmrig.scenario.native import LinkOptions, Section
from swarmrig.scenario.quantities import Command, DurationNs, FilePath, Integer, Name, Port, Seed, Switch, Text
from swarmrig.scenario.schema import DIALECT
from swarmrig.suites.values import is_number

FORMAT_VERSION = 1
MAX_REPETITIONS = 10_000
DEFAULT_TIMEOUT_NS = 60_000_000_000
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


def _number(value: Any) -> Any:
    if not is_number(value):
        raise ValueError("expected a number")
    return value


Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
ScenarioId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]
Variable = str | int | float | bool
Number = Annotated[int | float, BeforeValidator(_number)]


class ProcessEntry(Section):
    """A program of every scenario. `{name}` in its words stands for a variable."""

    command: Command = Field(description="The program and its arguments; words, no shell.")
    after: tuple[Identifier, ...] = Field((), description="Processes that are ready before this one starts.")
    ready: Text | None = Field(
        None,
        description="Pattern of the log line that makes it ready; its named groups become variables of those after it. "
        "Without one, a process is ready once it runs.",
    )
    env: dict[str, Text] = Field({}, description="Environment variables, beside a fixed minimum.")
    background: Switch = Field(False, description="It serves the others, and is stopped once they have ended.")


class WireEntry(Section):
    """UDP between processes, led through the rig's network: `{name of the wire}` is the port to send to."""

    to: Port | Text = Field(description="The port of 127.0.0.1 that it leads to; `{name}` stands for a variable.")
    after: tuple[Identifier, ...] = Field((), description="Processes that are ready before it is there.")
    link: LinkOptions = Field(LinkOptions.model_validate({}), description="What it does to datagrams, both ways.")


class CounterEntry(Section):
    """Where counters come from: the last `line` of a log that holds a marker, `patterns`, an `artifact`, a `wire`."""

    process: Identifier | None = Field(None, description="Whose log it is.")
    line: Text | None = Field(
        None, min_length=1, description="Marker of the line with `key=value` pairs; the last counts."
    )
    patterns: dict[Identifier, Text] | None = Field(
        None, description="Regular expressions: what the group caught last, or the number of lines that match."
    )
    artifact: Identifier | None = Field(None, description="A JSON file whose numbers are the counters.")
    wire: Identifier | None = Field(None, description="Latency between the two ends of a wire, in µs.")
    match: tuple[Text, ...] = Field(
        (), description="With wire: fields that are equal, `FIELD` or `FIELD=FIELD`. Default: the same RTP packet."
    )
    begin: Text | None = Field(None, alias="from", description="With wire: filter of frames that begin a measurement.")
    end: Text | None = Field(None, alias="to", description="With wire: filter of the frames that end one.")
    at: Literal["near", "far"] | None = Field(
        None, description="With wire: both frames are looked for at this end. Default: from the near to the far one."
    )


class PauseEntry(Section):
    """Stop a process (SIGSTOP) for a while."""

    process: Identifier = Field(description="Which one.")
    duration: DurationNs = Field(alias="for", gt=0, description="How long.")


class KillEntry(Section):
    """Kill a process (SIGKILL)."""

    process: Identifier = Field(description="Which one.")


class SuiteFaultEntry(Section):
    """Something done to a process from outside."""

    at: DurationNs = Field(description="When, from the moment when every process runs.")
    pause: PauseEntry | None = Field(None, description="Stop it for a while.")
    kill: KillEntry | None = Field(None, description="Kill it.")


class ScenarioEntry(Section):
    """One scenario of the suite: its variables, what is done to its processes, or a swarm to run in their place."""

    name: Text | None = Field(None, description="What it is called in reports. Default: its id.")
    variables: dict[Identifier, Variable] = Field({}, alias="with", description="Variables.")
    faults: tuple[SuiteFaultEntry, ...] = Field((), description="What is done to processes, and when.")
    exits: dict[Identifier, tuple[Integer, ...]] = Field(
        {}, description="Exit codes that are right for a process; -9 is death by signal 9. Default: 0 only."
    )
    run: FilePath | None = Field(None, description="A swarmrig scenario, by preset or file, instead of the processes.")
    overrides: dict[str, Variable] = Field({}, alias="set", description="Values changed in that scenario, by path.")


class LimitEntry(Section):
    """Inclusive limits of one counter. A whole limit judges whole numbers: decimals are cut off."""

    min: Number | None = Field(None, description="It must not be less.")
    max: Number | None = Field(None, description="It must not be more.")
    home: Identifier | None = Field(
        None, alias="in", description="The counters it belongs to. Default: all are looked at."
    )
    over: Literal["min", "p50", "p95", "p99", "max"] | None = Field(
        None, description="Judge this percentile over all repetitions. Default: every run by itself."
    )
    title: Identifier | None = Field(
        None, description="How summaries call the limit. Default: `<counter>_min`, `<counter>_max`."
    )


class ModeEntry(Section):
    """How hard the scenarios are, and what must hold then."""

    variables: dict[Identifier, Variable] = Field({}, alias="with", description="Variables.")
    thresholds: dict[ScenarioId, dict[Text, LimitEntry]] = Field(
        {}, description="Limits by scenario and counter; those under `all` hold for every scenario."
    )


class SuiteFile(Section):
    """A fault suite: programs, what goes wrong with them, what they count, and what must hold in each mode."""

    suite: Literal[1] = Field(description="Version of this format.")
    name: Name | None = Field(None, description="Name of run directories and reports. Default: the file's name.")
    task: Integer | Text | None = Field(None, description="First value of the summary. Default: the suite's name.")
    seed: Seed = Field(0, description="The variable {seed} is this plus the repetition.")
    timeout: DurationNs = Field(DEFAULT_TIMEOUT_NS, gt=0, description="How long one run of a scenario may take.")
    build: Command | None = Field(None, description="Command that is run first, where the file is; words, no shell.")
    repetitions: Annotated[Integer, Field(ge=1, le=MAX_REPETITIONS)] = Field(1, description="Runs of each scenario.")
    parallel: Switch = Field(False, description="Scenarios do not disturb each other: run as many as there are cores.")
    variables: dict[Identifier, Variable] = Field({}, alias="with", description="Variables of every scenario.")
    processes: dict[Identifier, ProcessEntry] = Field({}, description="The programs of every scenario.")
    wires: dict[Identifier, WireEntry] = Field({}, description="Wires between processes.")
    artifacts: dict[Identifier, FilePath] = Field(
        {}, description="Files that they write, relative to the scenario's run."
    )
    counters: dict[Identifier, CounterEntry] = Field({}, description="What is counted, in groups.")
    scenarios: dict[ScenarioId, ScenarioEntry] = Field(min_length=1, description="The scenarios, in order.")
    modes: dict[Identifier, ModeEntry] = Field(min_length=1, description="The modes; the first is the default.")


def suite_schema() -> dict[str, Any]:
    """The JSON Schema of suite files."""
    return {"$schema": DIALECT, **SuiteFile.model_json_schema(by_alias=True), "title": "swarmrig suite"}
