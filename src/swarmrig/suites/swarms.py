"""Scenarios of a suite that run a swarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio

from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions, run
from swarmrig.scenario.load import load_scenario
from swarmrig.suites.plan import RIG, ScenarioPlan
from swarmrig.suites.processes import Outcome


def load_swarm(plan: ScenarioPlan, registry: Registry) -> Scenario:
    """The swarm that a scenario runs. Raises ScenarioError."""
    assert plan.run is not None
    return load_scenario(plan.run, registry=registry, overrides=plan.overrides)


async def run_swarm(
    scenario: Scenario, repetition: int, directory: Path, registry: Registry, interrupt: anyio.Event
) -> Outcome:
    """Run a swarm from plan to reports; each repetition has a seed of its own, the first that of the file."""
    seeded = replace(scenario, seed=scenario.seed + repetition - 1)
    finished = await run(await make_plan(seeded, registry), RunOptions(output_dir=directory, interrupt=interrupt))
    write_reports(finished.record, finished.directory)
    return Outcome(
        exits={RIG: finished.record.exit_code},
        logs={RIG: finished.directory / "events.jsonl"},
        artifacts={"results": finished.directory / "results.json"},
        notes=list(finished.record.failures),
    )
