"""Forking runs from a warm swarm, beside booting each of them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import anyio

from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.runtime.run import RunOptions
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.suites.fault_sweep import Sweep, SweepOptions, sweep
from swarmrig.suites.forks import Forking

WARM_UP_S = 220
FAULTS = 10
SCENARIO = """\
swarmrig: 1
name: sweep
duration: {end}s
time: virtual
network: {{topology: star, hub: c, link: {{latency: 5ms}}}}
nodes:
  c: {{role: coordinator}}
  s1: {{config: {{tdm_slot: 1}}}}
  s2: {{config: {{tdm_slot: 2}}}}
faults:
{faults}
checks: [all_nodes_boot]
"""
KINDS = ("pause: {{node: {node}, for: 200ms}}", "cut: {{between: [c, {node}], for: 500ms}}", "reset: {{node: {node}}}")


def run() -> None:
    """Both of the same scenario, with the same digests; prints the figures with what is required."""
    lines = [
        f"  - {{at: {WARM_UP_S}s, {KINDS[number % len(KINDS)].format(node=f's{number % 2 + 1}')}}}"
        for number in range(FAULTS)
    ]
    text = SCENARIO.format(end=WARM_UP_S + 1, faults="\n".join(lines))
    registry = Registry.load()
    scenario = load_text(text, Origin("bench", Path.cwd(), "sweep"), registry=registry)
    forked, forked_s = _timed(scenario, registry, Forking.ALWAYS)
    booted, booted_s = _timed(scenario, registry, Forking.NEVER)
    if [one.finished.record.digest for one in forked.runs] != [one.finished.record.digest for one in booted.runs]:
        raise SystemExit("fork: forked runs are not what booted ones are")
    assert forked.fork_s is not None and forked.warm_s is not None
    guests = len(scenario.nodes)
    print(
        f"fork: {guests} guests in {forked.fork_s:.2f} s, {forked.fork_s / guests * 1000:.0f} ms a guest, "
        f"ratio vs 200 ms = {forked.fork_s / guests / 0.2:.2f}, required 1"
    )
    print(
        f"fork: {FAULTS} faults, warm-up {forked.warm_s:.2f} s: forked {forked_s:.2f} s, booted {booted_s:.2f} s, "
        f"ratio vs booting = {booted_s / forked_s:.2f}, required 3"
    )


def _timed(scenario: Scenario, registry: Registry, forking: Forking) -> tuple[Sweep, float]:
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
        options = SweepOptions(RunOptions(output_dir=Path(place)), forking=forking)
        begun = time.perf_counter()
        done = anyio.run(sweep, scenario, registry, options, _ignore)
        return done, time.perf_counter() - begun


def _ignore(_: object) -> None:
    """Of single runs, nothing is told."""
