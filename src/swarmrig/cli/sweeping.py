"""`sweep`: runs them all, tells of each as it ends, then the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio

from swarmrig.cli.ci import mute_commands
from swarmrig.cli.failures import describe_failure
from swarmrig.cli.loading import load
from swarmrig.cli.options import Choice, Manner
from swarmrig.cli.output import harmless, say, say_json_line
from swarmrig.cli.signals import interruption
from swarmrig.cli.suite_ci import tell_ci_of_sweep
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.plugins import Registry
from swarmrig.runtime.run import RunOptions
from swarmrig.suites.fault_sweep import Sweep, SweepOptions, SweptRun, sweep
from swarmrig.suites.forks import Forking
from swarmrig.timebase.stepping import Stepping


def sweep_choice(choice: Choice, manner: Manner, faults: Path | None, at_ns: int | None, forking: str) -> int:
    """From the words of the command line to the exit code."""
    try:
        registry = Registry.load()
        scenario = load(choice, registry, faults)
        with mute_commands():
            done = anyio.run(_sweep, scenario, registry, manner, at_ns, Forking(forking))
    except BaseException as error:
        if manner.as_json:
            say_json_line({"kind": "error", "errors": describe_failure(error)})
        raise
    if done is None:
        raise KeyboardInterrupt
    if manner.as_json:
        say_json_line({"kind": "result", "directory": str(done.directory), "results": done.as_json()})
    else:
        for text in _table(done):
            say(text)
    tell_ci_of_sweep(done)
    return done.exit_code


async def _sweep(
    scenario: Scenario, registry: Registry, manner: Manner, at_ns: int | None, forking: Forking
) -> Sweep | None:
    done: Sweep | None = None
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            run_options = RunOptions(
                output_dir=manner.output_dir,
                interrupt=interrupt,
                skip_build=manner.skip_build,
                stepping=Stepping(manner.hang_timeout_ns / NS_PER_S, manner.quantum_ns),
                strict=manner.strict,
            )

            def tell(run: SweptRun) -> None:
                if manner.as_json:
                    say_json_line({"kind": "run", **run.as_json()})
                else:
                    say(f"{_name(run)}: {run.finished.record.verdict.value} in {run.wall_s:.2f} s", stream=sys.stderr)

            done = await sweep(scenario, registry, SweepOptions(run_options, at_ns, forking), tell)
            text = json.dumps(done.as_json(), indent=2, ensure_ascii=False) + "\n"
            await anyio.Path(done.directory / "sweep.json").write_text(text, encoding="utf-8")
    return done


def _table(done: Sweep) -> Iterator[str]:
    width = max((len(_name(run)) for run in done.runs), default=0)
    for run in done.runs:
        record = run.finished.record
        began = "forked" if run.why_booted is None else "booted"
        yield f"{_name(run):<{width}}  {record.verdict.value:<12}  {began}  {run.finished.directory.name}"
        for failure in record.failures:
            yield f"  {harmless(failure)}"
    yield ""
    if done.at_ns is not None and done.warm_s is not None:
        how = f"booting and warming up took {done.warm_s:.2f} s"
        how += "" if done.fork_s is None else f", a fork {done.fork_s:.2f} s"
        yield f"forked at {format_duration(done.at_ns)}: {how}"
    reasons = [run.why_booted for run in done.runs if run.why_booted is not None]
    for reason in dict.fromkeys(reasons):
        names = ", ".join(_name(run) for run in done.runs if run.why_booted == reason)
        yield f"booted ({names if len(reasons) < len(done.runs) else 'every run'}): {harmless(reason)}"
    yield f"results: {done.directory}/sweep.json"


def _name(run: SweptRun) -> str:
    return harmless(run.branch.name)
