"""The media pipeline's three faults: the suite that `summarize` knows without a file.

A simulator produces frames in shared memory, a streamer turns them into RTP, a tester receives. The streamer's last
PIPELINE_METRICS, LATENCY_METRICS, FAULT_COUNTERS and RTP_METRICS lines are judged.
"""

from __future__ import annotations

from swarmrig.suites.suite import Group, Line, Shape, Suite
from swarmrig.suites.thresholds import Bound, Threshold, Thresholds

TASK = 15
SHAPE = Shape(
    processes=("sim", "streamer", "tester"),
    artifacts=("sdp",),
    groups=(
        Group("pipeline", "streamer_log", Line("PIPELINE_METRICS")),
        Group("latency", "streamer_log", Line("LATENCY_METRICS")),
        Group("fault", "streamer_log", Line("FAULT_COUNTERS")),
        Group("rtp", "streamer_log", Line("RTP_METRICS")),
    ),
)

_LATENCY = ("latency",)


def _common(samples: int, p50_us: int, drop_ppm: int) -> tuple[Threshold, ...]:
    return (
        Threshold("ingest_to_emit_samples", Bound.MIN, samples, ("latency", "pipeline"), "samples_min"),
        Threshold("p50_us", Bound.MAX, p50_us, _LATENCY),
        Threshold("drop_ratio_ppm", Bound.MAX, drop_ppm, ("pipeline", "rtp", "fault")),
    )


def _own(events: str, at_least: int, percentile: str, at_most_us: int) -> tuple[Threshold, ...]:
    return (
        Threshold(events, Bound.MIN, at_least, ("fault",)),
        Threshold(percentile, Bound.MAX, at_most_us, _LATENCY),
    )


_OTHERWISE = _common(1, 500_000, 1_000_000)

MEDIA_FAULTS = Suite(
    name="media-faults",
    task=TASK,
    shape=SHAPE,
    scenarios=("torn_read", "sink_stall", "reset_storm"),
    modes={
        "baseline": Thresholds(
            {
                "torn_read": _common(10, 150_000, 980_000) + _own("torn_read_events", 1, "p99_us", 250_000),
                "sink_stall": _common(10, 350_000, 980_000) + _own("sink_stall_events", 1, "p95_us", 600_000),
                "reset_storm": _common(1, 800_000, 1_000_000) + _own("reset_events", 4, "p99_us", 1_000_000),
            },
            _OTHERWISE,
        ),
        "degraded": Thresholds(
            {
                "torn_read": _common(100, 1_000, 20_000) + _own("torn_read_events", 200, "p99_us", 2_000),
                "sink_stall": _common(100, 1_000, 20_000) + _own("sink_stall_events", 200, "p95_us", 2_000),
                "reset_storm": _common(100, 1_000, 20_000) + _own("reset_events", 20, "p99_us", 2_000),
            },
            _OTHERWISE,
        ),
    },
)
