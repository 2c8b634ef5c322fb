"""The schedule of a finished run as a scenario: every fault at the time at which it acted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swarmrig.model.facts import FaultStage
from swarmrig.model.record import FaultRecord
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.triggers import HEAL

REPEAT_FILE = "repeat.swarmrig.yml"


def repeated(scenario: Scenario, faults: Sequence[FaultRecord]) -> Scenario:
    """The scenario with concrete times in place of conditions; what never fired is left out."""
    acted = {
        fault.id: fault.at_ns
        for fault in faults
        if fault.at_ns is not None
        and any(stage in (FaultStage.INJECTED, FaultStage.FAILED) for stage, _ in fault.stages)
    }
    specs = [_at(spec, acted[spec.id], scenario.duration_ns) for spec in scenario.faults if _remains(spec, acted)]
    return replace(scenario, faults=tuple(specs))


def _remains(spec: FaultSpec, acted: dict[str, int]) -> bool:
    """It acted, and so did what it heals."""
    return spec.id in acted and (spec.kind != HEAL or spec.params["fault"] in acted)


def _at(spec: FaultSpec, at_ns: int, duration_ns: int) -> FaultSpec:
    """A fault that would have healed after the end was in force up to the end."""
    outlasts = spec.for_ns is not None and at_ns + spec.for_ns >= duration_ns
    return replace(spec, at_ns=at_ns, when=None, for_ns=None if outlasts else spec.for_ns)
