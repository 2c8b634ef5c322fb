"""What was found: a schedule that breaks a check, as small as it gets, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from swarmrig.search.observation import Break, Observation
from swarmrig.search.schedule import Schedule


@dataclass
class Finding:
    """One way in which a check breaks."""

    number: int
    broken: Break
    first: Schedule
    """The schedule that broke it first."""
    schedule: Schedule
    """The smallest so far."""
    found_at: int
    """Number of the schedule that broke it first."""
    minimal: bool = False
    """No fault can be left out; False when shrinking was interrupted."""
    runs: list[Observation] = field(default_factory=list)
    """Of the smallest schedule, to confirm it."""
    asked: int = 0
    """How many of them there were to be."""
    seen: int = 1
    """How many schedules of the search broke it in this way."""

    @property
    def confirmed(self) -> int:
        """How many of those runs broke the check in the same way."""
        return sum(run.breaking(self.broken.signature) for run in self.runs)

    @property
    def shown(self) -> Break:
        """What the check says of the smallest schedule, if that has been run again."""
        signature = self.broken.signature
        return next((each for run in self.runs for each in run.breaks if each.signature == signature), self.broken)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of those runs; in tier exact there is one."""
        return tuple(dict.fromkeys(run.digest for run in self.runs if run.digest is not None))

    @property
    def proved(self) -> frozenset[str]:
        """Faults that were proved in every one of those runs."""
        sets = [run.proved for run in self.runs]
        return frozenset.intersection(*sets) if sets else frozenset()

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "check": self.broken.check,
            "outcome": self.broken.outcome,
            "message": self.shown.message,
            "state": self.broken.state,
            "schedule": self.schedule.as_json(),
            "faults": [str(strike) for strike in self.schedule.strikes],
            "first": self.first.as_json(),
            "found_at": self.found_at,
            "seen": self.seen,
            "minimal": self.minimal,
            "confirmed": self.confirmed,
            "runs": len(self.runs),
            "asked": self.asked,
            "digests": list(self.digests),
            "proved": sorted(self.proved),
            "directories": [run.directory for run in self.runs if run.directory is not None],
        }
