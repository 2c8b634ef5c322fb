"""How well a run in paced time kept up with this machine's clock, for those who read of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmrig.model.record import Pace
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.runtime.recorder import Recorder
from swarmrig.timebase.pace import BEHIND_LIMIT_NS


class PaceWatch:
    """Takes the statistics of the network; says at once when it cannot keep up, and at the end by how much."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told = False
        self.pace: Pace | None = None
        """None as long as nothing is paced."""

    def take(self, statistics: Mapping[str, Any]) -> None:
        found = statistics.get("pace")
        if found is None or found["origin_ns"] is None:
            return
        self.pace = Pace(
            behind_max_ns=found["behind_max_ns"],
            slipped_ns=found["slipped_ns"],
            held_ns=found["held_ns"],
            handed_over=found["handed_over"],
            late_max_ns=found["late_max_ns"],
            late_mean_ns=found["late_ns"] // max(found["handed_over"], 1),
            lost=found["lost"],
        )
        if self.pace.slipped_ns and not self._told:
            self._told = True
            self._recorder.event("rig", "warning", {"message": "virtual time cannot keep up with this machine's clock"})

    def conclude(self, run_ns: int) -> None:
        """Warn of what a reader must know."""
        pace = self.pace
        if pace is None:
            return
        if pace.slipped_ns:
            share = pace.slipped_ns / max(run_ns + pace.slipped_ns, 1)
            self._recorder.warning(
                "time",
                f"could not keep up: {run_ns / NS_PER_S:.3f} s of run time took {pace.slipped_ns / NS_PER_S:.3f} s "
                f"({share:.1%}) more of this machine's time, in which nodes outside of virtual time lived on; it was "
                f"never more than {format_duration(BEHIND_LIMIT_NS)} behind at a time",
            )
        if pace.lost:
            self._recorder.warning("time", f"{pace.lost} frames from outside found no room while time stood")
