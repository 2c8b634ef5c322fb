"""`campaign plan`: what would be run, for people and for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from swarmrig.campaigns.load import load_campaign
from swarmrig.campaigns.plan import CampaignPlan
from swarmrig.campaigns.prepare import Planned, Prepared, part_of, prepare
from swarmrig.campaigns.task import Resources, Task
from swarmrig.cli.campaign_options import Selection
from swarmrig.cli.campaign_view import planning
from swarmrig.cli.failures import told_as_json
from swarmrig.cli.output import counted, harmless, say, say_json
from swarmrig.plugins import Registry

MOST_RUNS = 40


def tell_plan(file: Path, selection: Selection, *, as_json: bool) -> int:
    """Check everything, print the runs; returns the exit code."""
    with told_as_json(as_json):
        plan = load_campaign(file)
        with planning(as_json=as_json) as tell:
            prepared = anyio.run(partial(prepare, plan, Registry.load(), tell=tell))
        tasks = part_of(prepared.tasks, selection.shard, selection.only)
    if as_json:
        say_json(_document(plan, prepared, tasks))
        return 0
    for warning in prepared.warnings:
        say(f"warning: {harmless(warning)}", stream=sys.stderr)
    for line in _lines(plan, prepared, tasks):
        say(harmless(line))
    return 0


def _document(plan: CampaignPlan, prepared: Prepared, tasks: Sequence[Task]) -> dict[str, Any]:
    values = plan.values
    return {
        "name": plan.name,
        "count": len(tasks),
        "count_of_all_shards": len(prepared.tasks),
        "scenarios": [entry.run for entry in values.scenarios],
        "axes": {axis: list(labels) for axis, labels in values.matrix.items()},
        "repetitions": values.repetitions,
        "retries": values.retries,
        "estimated_s": None,
        "tasks": tasks,
        "quarantine": prepared.quarantine,
        "warnings": prepared.warnings,
    }


def _lines(plan: CampaignPlan, prepared: Prepared, tasks: Sequence[Task]) -> Iterator[str]:
    values = plan.values
    yield f"{plan.name}: {counted(len(tasks), 'run')}" + (
        f" of {len(prepared.tasks)}" if len(tasks) < len(prepared.tasks) else ""
    )
    yield f"  scenarios    {', '.join(entry.run for entry in values.scenarios)}"
    for axis, labels in values.matrix.items():
        yield f"  {axis:<11}  {', '.join(labels)}"
    if values.repetitions > 1:
        yield f"  repetitions  {values.repetitions}"
    yield f"  retries      {values.retries}, of failures of the machine, an emulator or the rig only"
    yield f"  duration     unknown: no run has been made; {_total(tasks)}"
    yield ""
    for each in prepared.planned:
        yield _planned_line(each, values.repetitions)
    yield ""
    for task in tasks[:MOST_RUNS]:
        quarantine = "" if task.quarantine is None else f"  (quarantined: {task.quarantine})"
        yield f"{task.id}{quarantine}"
    if len(tasks) > MOST_RUNS:
        yield f"… and {len(tasks) - MOST_RUNS} more: --json has them all"


def _planned_line(each: Planned, repetitions: int) -> str:
    runs = counted(len(each.seeds) * repetitions, "run")
    return (
        f"{each.combination.title}: {runs}, {counted(each.nodes, 'node')}, time {each.time}, {_needs(each.resources)}"
    )


def _needs(resources: Resources) -> str:
    text = f"{resources.cores:g} {'core' if resources.cores == 1 else 'cores'}, {resources.memory_mib} MiB"
    return text + (", kvm" if resources.kvm else "") + (", docker" if resources.docker else "")


def _total(tasks: Sequence[Task]) -> str:
    most = max((task.resources.cores for task in tasks), default=0)
    return f"at most {most:g} {'core' if most == 1 else 'cores'} for one run"
