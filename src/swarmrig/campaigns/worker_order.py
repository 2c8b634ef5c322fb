"""What campaigner and worker tell each other. Both have the same version of the rig: that is seen to first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarmrig.campaigns.bundle_content import Content, checked_inventory
from swarmrig.campaigns.task import Execution

PREFIX = "swarmrig-run-"
SESSION = 12
"""Characters of a key, behind the prefix, that all runs of a campaigner have in common."""
_KEY = re.compile(PREFIX + r"[0-9a-f]{24}\Z")


def begun_topic(key: str) -> str:
    """Where workers tell that a run has begun, by its key: for the campaigner whose run it is."""
    return key[: len(PREFIX) + SESSION]


@dataclass(frozen=True, slots=True)
class Order:
    """One run, with everything that it needs but the contents of its files."""

    key: str
    """Of the Dask task."""
    version: str
    name: str
    scenario: str
    """See bundle.Bundle."""
    files: Mapping[str, Content]
    seed: int
    timeout_s: float

    def check(self) -> None:
        """ValueError for what would lead astray in a path or on a command line."""
        if not _KEY.match(self.key):
            raise ValueError(f"{self.key[:80]!r} is no key of a run")
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"seed {self.seed!r}: a number from 0 expected")
        if not (isinstance(self.timeout_s, float | int) and math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise ValueError(f"time-out {self.timeout_s!r}: seconds expected")
        checked_inventory(self.files)


@dataclass(frozen=True, slots=True)
class Report:
    """A run that a worker has made. Its files stay there until the Dask task is released."""

    worker: str
    """Address."""
    execution: Execution
    files: Mapping[str, Content]
    """By place below the directory where the run was to leave its own."""


@dataclass(frozen=True, slots=True)
class Lacks:
    """A worker cannot begin before it has got these."""

    worker: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """A worker has not begun, and would not if it were asked again."""

    worker: str
    reason: str


Answer = Report | Lacks | Declined
