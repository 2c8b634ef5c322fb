"""The record of a finished run: all that reports are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmrig.model.facts import FaultStage, ProofStatus
from swarmrig.model.scenario import Scenario
from swarmrig.model.verdict import CheckResult, Evidence, Outcome

RESULTS_FORMAT = 1
"""Version of results.json: keys are added within it, never removed or given another meaning."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    id: str
    number: int
    boot_ns: int | None
    """From its start until it showed a boot marker, or was found ready; None when neither was seen."""
    exit_status: str | None
    """How it ended by itself ("exit 1", "SIGSEGV"), None when the rig stopped it."""
    console_lines: int
    console_bytes: int


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """Counters of one link, both directions added; `drops` by Fate value."""

    name: str
    frames: int
    bytes: int
    delivered: int
    drops: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """What became of one occurrence of a fault."""

    id: str
    kind: str
    description: str
    required: bool
    when: str | None
    """What it waited for, in words; None for one with a time of its own."""
    at_ns: int | None
    """When it acted, or was to; None when it never was its time."""
    for_ns: int | None
    stages: tuple[tuple[FaultStage, int], ...]
    """With their times, in order."""
    status: ProofStatus
    message: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Pace:
    """How well virtual time kept up with this machine's clock, in paced time."""

    behind_max_ns: int
    """The most that it was behind."""
    slipped_ns: int
    """How long run time waited for it beyond that: by so much the run took longer."""
    held_ns: int
    """How long run time waited because something was done to nodes while time stood: emulators started, say."""
    handed_over: int
    """Frames that nodes of this machine's time were given."""
    late_max_ns: int
    """By how much such a frame came later than modelled, at most."""
    late_mean_ns: int
    lost: int
    """Frames from such nodes for which there was no room while time stood."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    run_id: str
    scenario: Scenario
    version: str
    tier: str
    """exact | recorded | scheduled: what can be repeated, see docs/design.md."""
    digest: str | None
    started_at: str
    """ISO 8601, UTC."""
    run_ns: int
    """Run time from network start to end of judging window."""
    interrupted: bool
    verdict: Outcome
    exit_code: int
    checks: tuple[CheckResult, ...]
    nodes: tuple[NodeRecord, ...]
    links: tuple[LinkRecord, ...]
    faults: tuple[FaultRecord, ...]
    aggregator: Mapping[str, Any]
    """What the aggregator wrote, see nodes.python.aggregator."""
    metrics: Mapping[str, int | float | None] = field(default_factory=dict)
    """The numbers of the run by name, see checks.metrics; None for what could not be measured."""
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    """Failures of the rig itself: leftovers, a node that could not be stopped, a failed fault."""
    pace: Pace | None = None
    """Of a run in paced time."""
