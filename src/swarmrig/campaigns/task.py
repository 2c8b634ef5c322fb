"""What a campaign consists of, and what became of it; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarmrig.model.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run needs of a machine while it runs."""

    cores: float = 1.0
    memory_mib: int = 256
    kvm: bool = False
    docker: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a campaign: a scenario, one value of every axis, a seed."""

    id: str
    """Unique in the campaign and safe as a file name; tells a reader what it is."""
    key: str
    """SHA-256 (hex) over all that decides the run: the scenario as resolved, firmware digests, seed. A result with
    the same key need not be made again."""
    scenario: str
    """As the campaign's file names it."""
    variant: Mapping[str, str]
    """Axis to the label of its value."""
    settings: tuple[str, ...]
    """`path=value`, as `run --set` takes them."""
    seed: int
    repetition: int = 1
    """1-based; tasks that differ in it only must end alike."""
    resources: Resources = Resources()
    timeout_s: float = 600.0
    quarantine: str | None = None
    """Why its verdict does not count."""

    @property
    def group(self) -> tuple[str, tuple[tuple[str, str], ...], int]:
        """The same for repetitions of one run."""
        return self.scenario, tuple(sorted(self.variant.items())), self.seed


class Ending(StrEnum):
    """How one attempt at a task ended."""

    JUDGED = "judged"  # there is a verdict: never tried again
    INFRASTRUCTURE = "infrastructure"  # the machine, an emulator or the rig failed: tried again
    REFUSED = "refused"  # the user's input is wrong: trying again changes nothing
    INTERRUPTED = "interrupted"  # by the user: not a result


@dataclass(frozen=True, slots=True)
class Execution:
    """What an executor saw of one `swarmrig run --json`, before anybody judges it."""

    exit_code: int | None
    """None: no process came to an end; `lost` says why. Negative: minus the signal that ended it."""
    documents: tuple[Mapping[str, Any], ...] = ()
    """The JSON lines that it printed: `kind: result` or `kind: error`."""
    last_words: str = ""
    """The end of its standard error."""
    lost: str | None = None
    """Time-out, worker gone, no space: why there is no result though it was begun."""
    no_space: bool = False
    """A disk is full: the campaign stops, since the next run would meet the same."""
    wall_s: float = 0.0
    cpu_s: float | None = None
    worker: str = "local"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task."""

    number: int
    ending: Ending
    reason: str
    """One line; empty when judged."""
    wall_s: float
    worker: str


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """One check of one run, as much of it as campaigns compare."""

    name: str
    label: str
    counted: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task after its last attempt."""

    task: str
    """Its id."""
    key: str
    verdict: Outcome | None
    """None: no attempt was judged."""
    exit_code: int
    tier: str | None = None
    digest: str | None = None
    """Of runs of tier `exact`: equal on every machine, or `inputs` differ."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What the run was made of, flattened from its provenance: `nodes.a.qemu`, `nodes.a.firmware`, ... to digest or
    version."""
    checks: tuple[CheckVerdict, ...] = ()
    failures: tuple[str, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    began_at: str = ""
    """ISO 8601, UTC."""
    wall_s: float = 0.0
    """Of the last attempt."""
    worker: str = "local"
    directory: str | None = None
    """The run directory, relative to the campaign's."""

    @property
    def ending(self) -> Ending:
        """How its last attempt ended."""
        return self.attempts[-1].ending if self.attempts else Ending.INTERRUPTED
