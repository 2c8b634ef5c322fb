"""What a campaign costs over the same runs by hand, and what a second worker brings.

By hand means the same `swarmrig run` commands, as many at a time, each begun when one has ended. Rounds are
interleaved, so that load hits all alike; the median of the ratios counts. Wall time needs a machine with nothing else
to do; beside it stands the processor time, which does not. A run has one guest: guest, network and rig take turns, and
so keep one core busy. Of runs that keep more than one busy, a second worker brings less.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

RUNS = 40
ROUNDS = 3
SCENARIO = """\
swarmrig: 1
name: alone
duration: 20s
time: virtual
nodes:
  s1: {role: sensor, config: {scenario: 2}}
checks: [all_nodes_boot, no_crashes, {frame_rate_above: 15}]
"""
CAMPAIGN = f"""\
campaign: 1
name: bench
scenarios: [alone.swarmrig.yml]
seeds: 1..{RUNS}
"""


def run() -> None:
    """Three ways to make the same runs, several times over."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "alone.swarmrig.yml").write_text(SCENARIO)
        (home / "bench.campaign.yml").write_text(CAMPAIGN)
        cores = min(2, len(os.sched_getaffinity(0)))
        ways: dict[str, Callable[[Path], None]] = {
            "by hand": lambda out: _by_hand(home, out, cores),
            "campaign": lambda out: _campaign(home, out, cores),
            "one worker": lambda out: _campaign(home, out, 1),
        }
        walls: dict[str, list[float]] = {name: [] for name in ways}
        cpus: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS):
            for name, way in ways.items():
                wall, cpu = _timed(way, home / f"{name}-{number}".replace(" ", "-"))
                walls[name].append(wall)
                cpus[name].append(cpu)
    load = os.getloadavg()[0]
    for name in ways:
        print(f"campaign: {RUNS} runs, {name}: {median(walls[name]):.2f} s, {median(cpus[name]):.2f} s of processors")
    overhead = _ratio(walls["campaign"], walls["by hand"])
    work = _ratio(cpus["campaign"], cpus["by hand"])
    speedup = _ratio(walls["one worker"], walls["campaign"])
    print(f"campaign: ratio vs by hand = {overhead:.3f} (processors {work:.3f}), {cores} at a time")
    print(f"campaign: ratio vs one worker = {speedup:.2f}, {cores} workers (load {load:.1f})")


def _ratio(first: list[float], second: list[float]) -> float:
    return median(one / other for one, other in zip(first, second, strict=True))


def _timed(way: Callable[[Path], None], out: Path) -> tuple[float, float]:
    """Seconds of wall time, and of this machine's processors in what was started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    way(out)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _by_hand(home: Path, out: Path, at_a_time: int) -> None:
    def one(seed: int) -> None:
        command = [*_SWARMRIG, "run", "alone.swarmrig.yml", "--seed", str(seed), "--json", "--output-dir", str(out)]
        subprocess.run(command, cwd=home, stdout=subprocess.DEVNULL, check=True)

    with ThreadPoolExecutor(at_a_time) as hands:
        list(hands.map(one, range(1, RUNS + 1)))


def _campaign(home: Path, out: Path, jobs: int) -> None:
    command = [*_SWARMRIG, "campaign", "run", "bench.campaign.yml", "--jobs", str(jobs), "--output-dir", str(out)]
    subprocess.run([*command, "--no-report"], cwd=home, stdout=subprocess.DEVNULL, check=True)


_SWARMRIG = [sys.executable, "-m", "swarmrig"]
