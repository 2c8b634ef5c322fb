"""The report of a run of eight nodes over 60 s: how long it takes to make, and how large it is.

Beside it, the same command making the report of a run that saw nothing: what Python and the libraries take alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES = 8
SCENARIO = {
    "swarmrig": 1,
    "name": "bench-report",
    "duration": "60s",
    "time": "virtual",
    "network": {"topology": "star", "hub": "n0", "link": {"latency": "5ms", "jitter": "1ms", "loss": "1%"}},
    "nodes": {
        f"n{number}": {"role": "sensor" if number else "coordinator", "config": {"tdm_slot": number}}
        for number in range(NODES)
    },
    "faults": [{"at": "20s", "cut": {"between": ["n0", "n1"], "for": "5s"}}],
    "checks": ["all_nodes_boot", "no_crashes"],
}
REPORT = "import sys; from swarmrig.cli.main import main; sys.exit(main(sys.argv[1:]))"


def run() -> None:
    runs = Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        directory = Path(name)
        seen = made(directory)
        nothing = directory / "nothing"
        nothing.mkdir()
        (nothing / "scenario.yml").write_text("swarmrig: 1\n")
        wall_s, cpu_s = taken(seen)
        bare_wall_s, bare_cpu_s = taken(nothing)
        size = sum(path.stat().st_size for path in (seen / "report.html", *(seen / "report").iterdir()))
        plotly = (seen / "report/plotly.min.js").stat().st_size
        print(
            f"report: {NODES} nodes, 60 s: {wall_s:.2f} s ({cpu_s:.2f} s CPU), of nothing {bare_wall_s:.2f} s "
            f"({bare_cpu_s:.2f} s CPU); {size / 1e6:.1f} MB, of that {plotly / 1e6:.1f} MB the library of plots"
        )


def made(directory: Path) -> Path:
    """The directory of a run."""
    scenario = directory / "bench.swarmrig.yml"
    scenario.write_text(json.dumps(SCENARIO))  # JSON is YAML
    command = [sys.executable, "-c", REPORT, "run", str(scenario), "--output-dir", str(directory / "runs")]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    (found,) = (directory / "runs").iterdir()
    return found


def taken(directory: Path) -> tuple[float, float]:
    """Wall and CPU seconds of the command, from start to end."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", REPORT, "report", str(directory)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "report")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
