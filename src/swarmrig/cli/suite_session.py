"""`suite run` and `suite validate`: from a suite file to its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from swarmrig.cli.ci import mute_commands
from swarmrig.cli.failures import EXIT_BROKEN, report_failure, told_as_json
from swarmrig.cli.output import counted, harmless, say, say_json_line
from swarmrig.cli.signals import interruption
from swarmrig.cli.suite_actions import verdict_line, warn
from swarmrig.cli.suite_ci import tell_ci_of_suite, verdict_of
from swarmrig.errors import SwarmrigError
from swarmrig.model.verdict import EXIT_CODES, EXIT_INTERRUPTED, Outcome
from swarmrig.runtime.directory import now_text
from swarmrig.suites.conduct import FinishedSuite, SuiteOptions, run_suite
from swarmrig.suites.directory import SuiteDirectory, SuiteRun, begin_directory, reopen_directory
from swarmrig.suites.load import load_suite, load_suite_text
from swarmrig.suites.plan import SuitePlan
from swarmrig.suites.references import check_overrides
from swarmrig.suites.statistics import describe, judged
from swarmrig.suites.summary import ScenarioVerdict


@dataclass(frozen=True, slots=True)
class SuiteManner:
    """How to run a suite, as the command line says it."""

    output_dir: Path
    mode: str | None = None
    repetitions: int | None = None
    jobs: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    as_json: bool = False


def run_file(file: Path, manner: SuiteManner) -> int:
    """Run a suite file from its beginning; returns the exit code."""
    with told_as_json(manner.as_json):
        plan = load_suite(file)
        mode = manner.mode or next(iter(plan.suite.modes))
        plan.suite.thresholds(mode)
        check_overrides(plan, manner.variables)
        begun = SuiteRun(
            file=str(file),
            here=str(plan.here),
            mode=mode,
            started_at=now_text(),
            repetitions=manner.repetitions or plan.repetitions,
            variables=dict(manner.variables),
        )
        directory = begin_directory(manner.output_dir, plan.suite.name, plan.text, begun)
        return _run(plan, directory, manner)


def go_on(path: Path, manner: SuiteManner) -> int:
    """Run what an interrupted run of a suite has left undone; returns the exit code."""
    with told_as_json(manner.as_json):
        directory = reopen_directory(path)
        begun = directory.run
        plan = load_suite_text(directory.text, begun.file, Path(begun.here))
        return _run(plan, directory, manner)


def validate_files(files: tuple[Path, ...]) -> int:
    """Say of every suite file whether it can be run; returns the exit code."""
    code = 0
    for file in files:
        try:
            plan = load_suite(file)
        except SwarmrigError as error:
            code = report_failure(error) or EXIT_BROKEN
            continue
        what = f"{counted(len(plan.scenarios), 'scenario')}, {counted(len(plan.suite.modes), 'mode')}"
        say(f"{file}: ok: {plan.suite.name}, {what}")
    return code


def _run(plan: SuitePlan, directory: SuiteDirectory, manner: SuiteManner) -> int:
    with mute_commands():
        finished = anyio.run(_watched, plan, directory, manner)
    verdict = verdict_of(finished)
    if manner.as_json:
        say_json_line({"kind": "result", "directory": str(directory.path), "summary": finished.summary})
    else:
        _tell(plan, directory, finished, verdict)
    tell_ci_of_suite(plan.suite.name, directory, finished)
    return EXIT_INTERRUPTED if finished.interrupted else EXIT_CODES[verdict]


async def _watched(plan: SuitePlan, directory: SuiteDirectory, manner: SuiteManner) -> FinishedSuite:
    observer = _JsonLines() if manner.as_json else _Lines(directory.run.repetitions)
    finished: FinishedSuite | None = None
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            options = SuiteOptions(jobs=manner.jobs, observer=observer, interrupt=interrupt)
            finished = await run_suite(plan, directory, options)
    if finished is None:
        raise KeyboardInterrupt
    return finished


def _tell(plan: SuitePlan, directory: SuiteDirectory, finished: FinishedSuite, verdict: Outcome) -> None:
    for each in finished.over_runs:
        say(f"{'PASS' if each.check.passed else 'FAIL':<13} {harmless(str(each))}")
    for difference in finished.differences:
        say(f"{'FAIL':<13} {harmless(difference)}")
    if directory.run.repetitions > 1:
        say("")
        for (scenario, metric), values in judged(finished.summary).items():
            spread = ", ".join(f"{name} {value:g}" for name, value in describe(values).items() if name != "n")
            say(f"{harmless(scenario)} {harmless(metric)}: {spread}, {counted(len(values), 'run')}")
    counts = finished.summary["counts"]
    interrupted = ", interrupted" if finished.interrupted else ""
    say("")
    say(
        f"{plan.suite.name}: {verdict.value}, {counts['pass']} of {counted(counts['total'], 'run')} passed "
        f"(mode {directory.run.mode}{interrupted})"
    )
    if finished.interrupted:
        say(f"go on with: swarmrig suite run --resume {directory.path}")
    say(f"summary: {directory.path}/summary.json")


class _Lines:
    """A line for each verdict."""

    def __init__(self, repetitions: int) -> None:
        self._repeated = repetitions > 1

    def on_start(self, scenario_id: str, repetition: int) -> None: ...

    def on_verdict(self, verdict: ScenarioVerdict, repetition: int) -> None:
        say(verdict_line(verdict, f" #{repetition}" if self._repeated else ""))

    def on_warning(self, text: str) -> None:
        warn(text)


class _JsonLines:
    """A line of JSON for everything that happens."""

    def on_start(self, scenario_id: str, repetition: int) -> None:
        say_json_line({"kind": "scenario.started", "scenario": scenario_id, "repetition": repetition})

    def on_verdict(self, verdict: ScenarioVerdict, repetition: int) -> None:
        say_json_line({"kind": "scenario.ended", "repetition": repetition, "verdict": verdict.as_json()})

    def on_warning(self, text: str) -> None:
        say_json_line({"kind": "warning", "message": text})
