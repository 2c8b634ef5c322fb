"""Sweeps of small swarms, in process."""

import json
from pathlib import Path

import pytest

from swarmrig.plugins import Registry
from swarmrig.runtime.run import RunOptions
from swarmrig.scenario.load import load_scenario
from swarmrig.suites.fault_sweep import SweepOptions, sweep
from swarmrig.suites.forks import Forking

SCENARIO = """\
swarmrig: 1
name: rough
duration: 2500ms
seed: 11
network:
  topology: star
  hub: c
  link: {latency: 5ms, jitter: 2ms, loss: 3%, duplicate: 5%, corrupt: 5%, reorder: 5%}
nodes:
  c: {role: coordinator}
  a: {machine: refnode-arm, config: {scenario: 2, tdm_slot: 1}}
  r: {config: {scenario: 3, tdm_slot: 2}}
checks: [all_nodes_boot]
faults:
"""


class Swept:
    """What became of a sweep, by fault."""

    def __init__(self, done, told) -> None:
        self.done, self.told = done, told
        self.runs = {run.branch.name: run for run in done.runs}
        self.digests = {name: run.finished.record.digest for name, run in self.runs.items()}
        self.why_booted = {name: run.why_booted for name, run in self.runs.items()}

    def directory(self, name: str) -> Path:
        return self.runs[name].finished.directory

    def results(self, name: str) -> dict:
        return json.loads((self.directory(name) / "results.json").read_text())


@pytest.fixture
def write(tmp_path):
    """write("- {at: 1s, ...}", head=...) -> the path of a scenario with these faults."""

    def write(faults: str, head: str = SCENARIO) -> Path:
        path = tmp_path / "rough.swarmrig.yml"
        path.write_text(head + "".join(f"  {line}\n" for line in faults.strip().splitlines()))
        return path

    return write


@pytest.fixture
def swept(tmp_path, write):
    """await swept("- {at: 1s, ...}", forking="always") -> Swept"""

    async def swept(faults: str, forking: str = "always", *, head: str = SCENARIO, at_ns=None, **options) -> Swept:
        registry = Registry.load()
        scenario = load_scenario(write(faults, head), registry=registry)
        told = []
        run_options = RunOptions(output_dir=tmp_path / "runs", **options)
        done = await sweep(scenario, registry, SweepOptions(run_options, at_ns, Forking(forking)), told.append)
        return Swept(done, told)

    return swept
