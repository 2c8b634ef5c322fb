"""The search for faults: schedules a minute, against 120; and how soon it finds a planted bug, against pure chance.

    python -m bench explore

The swarm is three guests for ten virtual seconds. The bug needs two faults in one order: a node loses its hub for two
seconds or more, and is reset after that. BENCH_SEARCHES (default 3) searches of each kind, of at most BENCH_SCHEDULES
(default 300) schedules, say how many it takes; 0 searches leave that out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

AIM_PER_MINUTE = 120
SCENARIO = """\
swarmrig: 1
name: trio
duration: 10s
time: virtual
network: {{topology: star, hub: c}}
nodes:
  c: {{role: coordinator, config: {{edge_tier: 1}}}}
  s1: {{role: sensor, config: {{tdm_slot: 1, scenario: 2}}{firmware}}}
  s2: {{role: sensor, config: {{tdm_slot: 2, scenario: 3}}{firmware}}}
checks: [all_nodes_boot, no_crashes]
"""
KINDS = "cut,reset,pause,degrade,power_cycle,duplicate"


def run() -> None:
    searches, most = (
        int(os.environ.get(name, default)) for name, default in (("BENCH_SEARCHES", "3"), ("BENCH_SCHEDULES", "300"))
    )
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        done = _explore(Path(place), "", "--schedules", "120", "--jobs", "2")
        rate = 60 * done["schedules"] / done["elapsed_s"]
        print(
            f"explore: {rate:.0f} schedules a minute, two at a time, {rate / AIM_PER_MINUTE:.2f} of {AIM_PER_MINUTE} "
            f"(3 guests, 10 virtual seconds, load {load:.1f}); {done['coverage']['features']} states"
        )
        for way in ("guided", "unguided") if searches else ():
            found = [_soon(Path(place), way, seed, most) for seed in range(searches)]
            print(f"explore: {way}: the bug that needs two faults, after {found} schedules, median {median(found):.0f}")


def _soon(place: Path, way: str, seed: int, most: int) -> int:
    """After how many schedules it was found; `most` when it was not."""
    options = ["--schedules", str(most), "--stop-after", "1", "--search-seed", str(seed), "--faults", KINDS]
    more = ["--unguided"] if way == "unguided" else []
    done = _explore(place, ", firmware: {variant: outage-report}", *options, "--confirm", "1", *more)
    return int(done["findings"][0]["found_at"]) if done["findings"] else most


def _explore(place: Path, firmware: str, *options: str) -> dict[str, Any]:
    file = place / "trio.swarmrig.yml"
    file.write_text(SCENARIO.format(firmware=firmware), encoding="utf-8")
    command = [sys.executable, "-m", "swarmrig", "explore", str(file), "--json", "--output-dir", str(place), *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    last: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    if last["kind"] != "result":
        raise SystemExit(ended.stderr)
    results: dict[str, Any] = last["results"]
    return results


if __name__ == "__main__":
    run()
