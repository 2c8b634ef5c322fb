"""How long silence may last before somebody is said to hang."""

from __future__ import annotations

import time

from swarmrig.timebase.stepping import DEFAULT_PATIENCE_S

STEP_S = 1.0
"""How often the driver looks, at least. Time in which the driver itself did not run (a stopped process group) counts as
no more than this."""


class Patience:
    """Counts wall-clock time without a sign of life."""

    def __init__(self) -> None:
        self.limit_s = DEFAULT_PATIENCE_S
        self._silent_s = 0.0
        self._looked_s = time.monotonic()

    def heard(self) -> None:
        self._silent_s = 0.0

    def is_over(self) -> bool:
        """To be asked at least every STEP_S."""
        now_s = time.monotonic()
        self._silent_s += min(now_s - self._looked_s, STEP_S)
        self._looked_s = now_s
        return self._silent_s > self.limit_s
