"""Manifests and logs as another program leaves them."""

from __future__ import annotations

from pathlib import Path

from swarmrig.suites.manifest import columns
from swarmrig.suites.media import MEDIA_FAULTS

HEADER = columns(MEDIA_FAULTS.shape.processes, MEDIA_FAULTS.shape.artifacts)
EVENTS = {"torn_read": "torn_read_events", "sink_stall": "sink_stall_events", "reset_storm": "reset_events"}
GOOD = {"ingest_to_emit_samples": 1000, "p50_us": 100, "p95_us": 200, "p99_us": 300, "drop_ratio_ppm": 0}


def log_text(scenario: str, **changes) -> str:
    """A streamer's log that passes in both modes; a counter changed to None is left out."""
    events = {EVENTS[scenario]: 300} if scenario in EVENTS else {}
    values = {**GOOD, **events, **changes}
    where = {
        "PIPELINE_METRICS": ("drop_ratio_ppm",),
        "LATENCY_METRICS": ("ingest_to_emit_samples", "p50_us", "p95_us", "p99_us"),
        "FAULT_COUNTERS": tuple(EVENTS.values()),
        "RTP_METRICS": ("packets",),
    }
    lines = ["streamer: ready"]
    for marker, keys in where.items():
        pairs = [f"{key}={values[key]}" for key in keys if values.get(key) is not None]
        lines.append(" ".join([marker, *pairs]))
    return "\n".join(lines) + "\n"


class Manifest:
    """A manifest in a directory of its own; change rows and logs, then summarise."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "manifest.tsv"
        self.header = list(HEADER)
        self.rows = [self.row(number, scenario) for number, scenario in enumerate(EVENTS, start=1)]
        for scenario in EVENTS:
            self.log(scenario).write_text(log_text(scenario))

    def log(self, scenario: str) -> Path:
        return self.directory / f"{scenario}.log"

    def row(self, number: int, scenario: str) -> dict[str, str]:
        cells = {"order": str(number), "scenario_id": scenario, "name": scenario.title(), "status": "fail"}
        cells |= {"reason": "unknown", "duration_ms": "12", "streamer_log": f"{scenario}.log", "sdp_path": "x.sdp"}
        return cells | {f"{process}_rc": "0" for process in ("sim", "streamer", "tester")}

    def write(self) -> Path:
        lines = [self.header, *([row.get(name, "") for name in self.header] for row in self.rows)]
        self.path.write_text("".join("\t".join(cells) + "\n" for cells in lines))
        return self.path
