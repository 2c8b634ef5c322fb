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


class NodeState(StrEnum):
    STARTED = "started"  # data: pid, command
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
    INJECTED = "injected"
    OBSERVED = "observed"
    HEALED = "healed"
    HEAL_OBSERVED = "heal observed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FaultChange:
    t_ns: int
    fault: str
    kind: str
    stage: FaultStage
    data: Mapping[str, Any] = field(default_factory=dict)


Fact = ConsoleLine | Frame | NodeChange | FaultChange
