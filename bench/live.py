"""What the live view costs a run: the same run with the view on a terminal, and with lines that nobody reads.

In virtual time the swarm goes as fast as this machine allows, so that what the view takes, the run is missing. The
rounds alternate; each has its ratio, of whole processes with all that they have started, and their median counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from statistics import median

from bench.report import SCENARIO

DURATION = "90s"
ROUNDS = 7
COLUMNS, ROWS = 120, 40


def run() -> None:
    runs = Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        directory = Path(name)
        scenario = directory / "live.swarmrig.yml"
        scenario.write_text(json.dumps({**SCENARIO, "name": "bench-live", "duration": DURATION}))
        taken = [(_lines(scenario), _viewed(scenario)) for _ in range(ROUNDS)]
    for number, what in enumerate(("wall", "CPU")):
        before = median(lines[number] for lines, _ in taken)
        after = median(viewed[number] for _, viewed in taken)
        ratios = sorted(viewed[number] / lines[number] for lines, viewed in taken)
        print(
            f"live: {DURATION} of 8 nodes: {what} {before:.2f} s with lines, {after:.2f} s with the live view; "
            f"ratio {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, {ROUNDS} rounds), to be at most 1.05"
        )


def _lines(scenario: Path) -> tuple[float, float]:
    return _taken(scenario, subprocess.DEVNULL)


def _viewed(scenario: Path) -> tuple[float, float]:
    """On a pseudo-terminal whose emulator only reads."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    shown: list[int] = []
    reader = threading.Thread(target=_read, args=(ours, shown))
    reader.start()
    taken = _taken(scenario, theirs)
    os.close(theirs)
    reader.join()
    os.close(ours)
    if sum(shown) < 10_000:
        raise RuntimeError("nothing was drawn")
    return taken


def _read(terminal: int, shown: list[int]) -> None:
    try:
        while data := os.read(terminal, 1 << 16):
            shown.append(len(data))
    except OSError:  # the other end is closed
        return


def _taken(scenario: Path, output: int) -> tuple[float, float]:
    """Wall and CPU seconds of the run, from start to end, with all that it started."""
    command = [sys.executable, "-m", "swarmrig", "run", str(scenario), "--output-dir", str(scenario.parent / "runs")]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, env={**environment, "TERM": "xterm-256color"}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
