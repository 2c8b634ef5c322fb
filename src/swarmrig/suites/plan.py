"""A suite file after reading: what runs in each scenario, and how it is judged. Frozen; paths are absolute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swarmrig.model.network import Impairment
from swarmrig.suites.suite import Suite

RIG = "rig"
"""The one process of a scenario that runs a swarm: its exit code is that of the run."""
FAULTS = "faults"
"""Stands beside the processes of a scenario with faults: it exits with 0 when every fault was seen to happen."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: re.Pattern[str] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    background: bool = False


@dataclass(frozen=True, slots=True)
class WirePlan:
    name: str
    to: str
    """The port that it leads to, perhaps with variables."""
    after: tuple[str, ...] = ()
    impairment: Impairment = Impairment()


@dataclass(frozen=True, slots=True)
class ProcessFault:
    """SIGSTOP for a while, or, without a duration, SIGKILL."""

    process: str
    at_ns: int
    for_ns: int | None

    @property
    def kind(self) -> str:
        return "kill" if self.for_ns is None else "pause"


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    id: str
    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[ProcessFault, ...] = ()
    exits: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    run: str | Path | None = None
    """A swarm to run: a preset's name or a file."""
    overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SuitePlan:
    suite: Suite
    text: str
    """The file, byte for byte."""
    here: Path
    processes: tuple[ProcessPlan, ...]
    wires: tuple[WirePlan, ...]
    artifacts: Mapping[str, str]
    scenarios: tuple[ScenarioPlan, ...]
    variables: Mapping[str, str]
    mode_variables: Mapping[str, Mapping[str, str]]
    build: tuple[str, ...] | None = None
    timeout_ns: int = 0
    repetitions: int = 1
    parallel: bool = False
    seed: int = 0

    def scenario(self, scenario_id: str) -> ScenarioPlan:
        return next(scenario for scenario in self.scenarios if scenario.id == scenario_id)
