"""Summarising a suite whose logs are large, against reading them whole with a regular expression for each line.

Three logs, together of BENCH_SUMMARIZE_MIB mebibytes (default 1024). `at the end`: each program said its counters when
it ended, as programs do. `at the beginning`: nothing but the first lines hold them, so every byte has to be looked at.
Both sides are whole processes; the memory is what the kernel says they had at most.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from swarmrig.suites.manifest import columns, manifest_text
from swarmrig.suites.media import MEDIA_FAULTS

MIB = 1 << 20
COUNTERS = (
    b"PIPELINE_METRICS published=9000 emitted=9000 drop_ratio_ppm=0\n"
    b"LATENCY_METRICS ingest_to_emit_samples=9000 p50_us=80 p95_us=200 p99_us=400\n"
    b"FAULT_COUNTERS torn_read_events=300 sink_stall_events=300 reset_events=300\n"
    b"RTP_METRICS packets=9000\n"
)
OURS = "import sys; from swarmrig.cli.main import main; sys.exit(main(sys.argv[1:]))"
PEER = """
import re, sys
from pathlib import Path
metric = re.compile(r"(PIPELINE_METRICS|LATENCY_METRICS|FAULT_COUNTERS|RTP_METRICS)\\\\b(.*)")
for name in sys.argv[1:]:
    last = {}
    for line in Path(name).read_text().splitlines():
        match = metric.search(line)
        if match:
            last[match[1]] = dict(re.findall(r"(\\\\w+)=(\\\\S+)", match[2]))
    assert len(last) == 4, last
""".replace("\\\\", "\\")


@dataclass(frozen=True, slots=True)
class Usage:
    """Wall and CPU seconds, and the greatest resident set in MiB."""

    wall_s: float
    cpu_s: float
    rss_mib: float


def run() -> None:
    size = int(os.environ.get("BENCH_SUMMARIZE_MIB", "1024")) * MIB
    runs = Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        directory = Path(name)
        for where in ("at the end", "at the beginning"):
            logs = write_logs(directory, size // len(MEDIA_FAULTS.scenarios), where)
            summary = directory / "summary.json"
            ours = measured([OURS, *summarize(directory, summary)])
            assert json.loads(summary.read_text())["all_pass"]
            peer = measured([PEER, *logs])
            print(
                f"summarize: {size / MIB:.0f} MiB, counters {where}: {ours.wall_s:.2f} s in {ours.rss_mib:.0f} MiB, "
                f"read whole {peer.wall_s:.2f} s in {peer.rss_mib:.0f} MiB, "
                f"ratio vs reading whole = {peer.wall_s / ours.wall_s:.1f} (CPU time {peer.cpu_s / ours.cpu_s:.1f})"
            )


def write_logs(directory: Path, size: int, where: str) -> list[str]:
    """One log for each scenario, of lines as streamers write them."""
    lines = [
        b"%12d.%06d I streamer: frame %d emitted, seq %d, 1400 bytes\n" % (i, i, i, i % 65536) for i in range(20_000)
    ]
    block = b"".join(lines)
    names = []
    for scenario in MEDIA_FAULTS.scenarios:
        path = directory / f"{scenario}.log"
        with path.open("wb") as file:
            if where == "at the beginning":
                file.write(COUNTERS)
            while file.tell() < size:
                file.write(block)
            if where == "at the end":
                file.write(COUNTERS)
        names.append(str(path))
    return names


def summarize(directory: Path, summary: Path) -> list[str]:
    """The arguments of the command, with the manifest that it reads."""
    header = columns(MEDIA_FAULTS.shape.processes, MEDIA_FAULTS.shape.artifacts)
    rows = [
        {"order": number, "scenario_id": name, "sim_rc": 0, "streamer_rc": 0, "tester_rc": 0}
        | {"streamer_log": f"{name}.log"}
        for number, name in enumerate(MEDIA_FAULTS.scenarios, start=1)
    ]
    manifest = directory / "manifest.tsv"
    manifest.write_text(manifest_text(header, rows))
    return ["suite", "summarize", "--manifest", str(manifest), "--output", str(summary), "--mode", "degraded"]


def measured(arguments: list[str]) -> Usage:
    """What a Python process takes from start to end."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments[1:])
    return Usage(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
