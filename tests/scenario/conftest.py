"""A registry made by hand: the scenario layer is tested with plugins of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from swarmrig.model.scenario import Scenario
from swarmrig.model.units import parse_duration_ns
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

DurationNs = Annotated[int, BeforeValidator(parse_duration_ns)]


@dataclass(frozen=True)
class Point:
    """What an entry point is to the registry."""

    name: str
    target: Any
    value: str = "tests:plugin"

    def load(self) -> Any:
        return self.target


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    bare: ClassVar[str | None] = None


class MachineOptions(Closed):
    memory: Annotated[int, Field(ge=1)] = 16
    machine_binary: Path | None = None
    arguments: tuple[str, ...] = ()
    boot_within: DurationNs | None = None


class LaxOptions(BaseModel):
    """Neither forbids nor allows extra keys: pydantic would drop them without a word."""

    factory: str


class OpenOptions(BaseModel):
    model_config = ConfigDict(extra="allow")


class CutParams(Closed):
    between: tuple[str, str]


class PauseParams(Closed):
    bare: ClassVar[str | None] = "node"
    node: str


class Hertz(Closed):
    bare: ClassVar[str | None] = "hz"
    hz: float = Field(10.0, gt=0)


class Seconds(Closed):
    bare: ClassVar[str | None] = "seconds"
    seconds: float = Field(10.0, gt=0)


class NodeNumber(Closed):
    bare: ClassVar[str | None] = "node"
    node: Annotated[int, Field(ge=0, le=255)]
    times: int = 1


class ConsoleParams(Closed):
    node: str | int | None = None
    nodes: tuple[str | int, ...] | None = None
    matches: str
    within: DurationNs | None = None
    count: dict[str, float] | None = None


def check(params: type[BaseModel], severity: Outcome = Outcome.FAIL) -> Any:
    return SimpleNamespace(params_model=params, severity=severity, __doc__="What must hold.")


CHECKS = {
    "all_nodes_boot": check(Closed),
    "no_crashes": check(Closed, Outcome.FATAL),
    "no_heap_errors": check(Closed),
    "tdm_no_collision": check(Closed),
    "all_nodes_produce_frames": check(Closed),
    "coordinator_receives_from_all": check(Closed),
    "network_partitioned_recovery": check(Closed),
    "frame_rate_above": check(Hertz, Outcome.WARN),
    "max_boot_time_s": check(Seconds, Outcome.WARN),
    "fall_detected_by_node": check(NodeNumber, Outcome.WARN),
    "console": check(ConsoleParams),
}
FAULTS = {
    "cut": SimpleNamespace(params_model=CutParams, __doc__="Cut a link."),
    "pause": SimpleNamespace(params_model=PauseParams, __doc__="Pause a node."),
}
NODES = {
    "qemu": SimpleNamespace(kind="qemu", options_model=MachineOptions, __doc__="A QEMU guest."),
    "python": SimpleNamespace(kind="python", options_model=LaxOptions, __doc__="A Python model."),
    "open": SimpleNamespace(kind="open", options_model=OpenOptions, __doc__="Takes anything."),
}


def make_registry() -> Registry:
    groups = {"swarmrig.nodes": NODES, "swarmrig.faults": FAULTS, "swarmrig.checks": CHECKS}
    return Registry({group: {name: Point(name, item) for name, item in some.items()} for group, some in groups.items()})


REGISTRY = make_registry()


def loads(text: str, directory: Path = Path("/nowhere"), **options: Any) -> Scenario:
    """The scenario of a text, as of a file called t.yml."""
    return load_text(text, Origin("t.yml", directory, "t"), registry=REGISTRY, **options)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return REGISTRY


@pytest.fixture(scope="session")
def load() -> Any:
    return loads
