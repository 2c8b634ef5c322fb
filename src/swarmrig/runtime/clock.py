"""Run time: nanoseconds since the network of a run started."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunClock:
    """CLOCK_MONOTONIC minus the start; every process of a run shares it, so their times compare."""

    start_ns: int

    @classmethod
    def starting_now(cls) -> RunClock:
        return cls(time.monotonic_ns())

    def now_ns(self) -> int:
        return time.monotonic_ns() - self.start_ns
