"""`run` and `up`: plan, run with a view, write the reports, tell the verdict."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from swarmrig.cli.ci import mute_commands, tell_ci
from swarmrig.cli.failures import told_as_json
from swarmrig.cli.keyboard import released_by_enter
from swarmrig.cli.loading import load
from swarmrig.cli.options import Choice, Manner
from swarmrig.cli.output import colours_wanted, harmless, say, say_json_line
from swarmrig.cli.planned import outline, plan_json
from swarmrig.cli.signals import interruption
from swarmrig.cli.summary import summary_lines
from swarmrig.cli.view import open_view
from swarmrig.errors import SwarmrigError
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.units import NS_PER_S
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.brake import Brake
from swarmrig.runtime.observer import Programme
from swarmrig.runtime.plan import RunPlan, plan_loaded
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.timebase.stepping import Stepping

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""A full disk meets whoever writes first: a node, a capture or a report. The remedy is the same."""


def run_choice(choice: Choice, manner: Manner) -> int:
    """Run a scenario from file to verdict; returns the exit code."""
    with told_as_json(manner.as_json):
        with mute_commands():
            finished = anyio.run(_run, choice, manner)
        tell_ci(finished.record, finished.directory)
        return finished.record.exit_code


def try_choice(choice: Choice, manner: Manner) -> int:
    """Check a scenario as `run_choice` would, and say what it would run; returns the exit code."""
    with told_as_json(manner.as_json):
        registry = Registry.load()
        plan = anyio.run(plan_loaded, partial(load, choice, registry), registry)
    if manner.as_json:
        say_json_line(plan_json(plan))
        return 0
    for warning in plan.warnings:
        say(f"warning: {harmless(warning)}", stream=sys.stderr)
    for line in outline(plan):
        say(line)
    return 0


async def _run(choice: Choice, manner: Manner) -> FinishedRun:
    if manner.report:
        _require_page()
    registry = Registry.load()
    finished: FinishedRun | None = None
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            plan = await plan_loaded(lambda: _paced(load(choice, registry), manner), registry)
            for warning in plan.warnings:
                say(f"warning: {harmless(warning)}", stream=sys.stderr)
            if not interrupt.is_set():
                finished = await _watched(plan, manner, interrupt)
                write_reports(finished.record, finished.directory)
    if finished is None:
        raise KeyboardInterrupt
    _tell(finished, manner, _page(finished.directory) if manner.report else None)
    return finished


def _require_page() -> None:
    from swarmrig.reports.web.files import require

    require()


def _page(directory: Path) -> Path | None:
    """A page that cannot be made changes no verdict."""
    from swarmrig.reports.page.render import write_page

    try:
        return write_page(directory)
    except SwarmrigError as error:
        say(f"warning: {harmless(str(error))}", stream=sys.stderr)
        return None


def _paced(scenario: Scenario, manner: Manner) -> Scenario:
    """Who keeps a swarm up wants to use it: at the pace of this world, unless file or command say otherwise."""
    if manner.until_interrupted and scenario.time is TimeMode.AUTO:
        return replace(scenario, time=TimeMode.REAL)
    return scenario


async def _watched(plan: RunPlan, manner: Manner, interrupt: anyio.Event) -> FinishedRun:
    programme = Programme.of(plan, until_interrupted=manner.until_interrupted)
    brake = Brake() if manner.pause_on_failure else None
    with open_view(programme, as_json=manner.as_json) as view:
        options = RunOptions(
            output_dir=manner.output_dir,
            observer=view,
            interrupt=interrupt,
            until_interrupted=manner.until_interrupted,
            skip_build=manner.skip_build,
            stepping=Stepping(manner.hang_timeout_ns / NS_PER_S, manner.quantum_ns),
            strict=manner.strict,
            brake=brake,
        )
        async with released_by_enter(brake):
            return await run(plan, options)


def _tell(finished: FinishedRun, manner: Manner, page: Path | None) -> None:
    if manner.as_json:
        results = json.loads((finished.directory / "results.json").read_text(encoding="utf-8"))
        say_json_line({"kind": "result", "directory": str(finished.directory), "results": results})
        return
    for text in summary_lines(finished, page, colours=colours_wanted(sys.stdout)):
        say(text)
    if any(os.strerror(code) in failure for failure in finished.record.failures for code in _FULL):
        say("hint: free some space, or use --output-dir", stream=sys.stderr)
