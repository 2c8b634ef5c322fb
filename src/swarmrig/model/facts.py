"""What was observed: the only things that checks judge. Times are run time in ns (virtual where there is one)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarmrig.model.network import Fate


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    t_ns: int
    node: str
    line: int
    """1-based number in the node's console.log."""
    text: str
    """Without line end and ANSI colours; undecodable bytes replaced."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it entered a link, at the sender's end."""

    t_ns: int
    link: str
    sender: str
    """Name of the device or forwarder at that end."""
    number: int
    """1-based packet number in the link's capture, as tshark counts."""
    data: bytes
    """The bytes as sent (before corruption)."""
    fate: Fate
    delivered: bool
    """False for a modelled drop and for an overrun."""
    note: str = ""
    """The capture's whole comment: what happened to it besides its fate, and whether it was injected."""


class NodeState(StrEnum):
    STARTED = "started"  # data: pid, command
    READY = "ready"  # as its own probe, health check or login finds; nodes that have none never tell
    EXITED = "exited"  # by itself; data: code or signal, stderr (last lines)
    STOPPED = "stopped"  # by the rig, at the end of the run
    UNHEARD = "unheard"  # it runs on, but says too much: further console lines do not become facts


@dataclass(frozen=True, slots=True)
class NodeChange:
    t_ns: int
    node: str
    state: NodeState
    data: Mapping[str, Any] = field(default_factory=dict)


class FaultStage(StrEnum):
    INJECTED = "injected"  # by the rig
    OBSERVED = "observed"  # its effect was seen, by others than the injector
    HEALED = "healed"  # by the rig
    HEAL_OBSERVED = "heal observed"
    FAILED = "failed"  # it could not be injected or healed; data: reason
    SKIPPED = "skipped"  # it is not applicable here; data: reason


class ProofStatus(StrEnum):
    """What is known of a fault at the end of a run."""

    PROVED = "proved"
    INDETERMINATE = "indeterminate"  # injected, but its effect, its end or the effect of that was not seen
    SKIPPED = "skipped"  # not applicable here, and it says why
    FAILED = "failed"  # it could not be injected or healed, or the contrary of its effect was seen
    NEVER_FIRED = "never fired"  # what it waited for did not happen


@dataclass(frozen=True, slots=True)
class FaultChange:
    t_ns: int
    fault: str
    kind: str
    stage: FaultStage
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a Python node says of itself when the run is over; the aggregator counts there what it received."""

    t_ns: int
    node: str
    data: Mapping[str, Any] = field(default_factory=dict)


Fact = ConsoleLine | Frame | NodeChange | FaultChange | NodeReport
