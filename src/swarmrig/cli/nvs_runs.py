"""`swarmrig nvs run`: scenarios times configurations, one table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.cli.loading import load
from swarmrig.cli.options import Choice
from swarmrig.cli.output import harmless, say, say_json
from swarmrig.cli.signals import interruption
from swarmrig.flash.matrix import MATRIX, NvsConfig, config
from swarmrig.model.scenario import Scenario
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.nvs_matrix import node_of_matrix, with_nvs_config

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class MatrixChoice:
    """What the command line says."""

    scenarios: tuple[str, ...]
    node: str | None
    configs: tuple[str, ...]
    """Empty: all."""
    duration_ns: int | None
    output_dir: Path
    strict: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the matrix."""

    scenario: str
    config: NvsConfig
    finished: FinishedRun

    @property
    def trouble(self) -> list[str]:
        """What did not pass."""
        record = self.finished.record
        bad = [result for result in record.checks if result.judgement.outcome is not Outcome.PASS]
        return [f"{result.label}: {result.judgement.message}" for result in bad] + list(record.failures)


def run_matrix(choice: MatrixChoice) -> int:
    """Run every cell, one after another; returns the worst exit code."""
    configs = [config(name) for name in choice.configs] or list(MATRIX)
    registry = Registry.load()
    scenarios = {name: load(Choice(name, duration_ns=choice.duration_ns), registry) for name in choice.scenarios}
    runs = [
        (name, one, with_nvs_config(scenario, node_of_matrix(scenario, choice.node), one, registry))
        for name, scenario in scenarios.items()
        for one in configs
    ]
    cells = anyio.run(_run_all, runs, registry, choice)
    if choice.as_json:
        say_json([_as_json(cell) for cell in cells])
    else:
        _say_table(cells, list(scenarios), configs)
    if len(cells) < len(runs):
        return INTERRUPTED
    return max(cell.finished.record.exit_code for cell in cells)


async def _run_all(
    runs: Sequence[tuple[str, NvsConfig, Scenario]], registry: Registry, choice: MatrixChoice
) -> list[Cell]:
    """Until all have been run, or somebody interrupts: then without the one that was interrupted."""
    cells: list[Cell] = []
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            for name, one, scenario in runs:
                plan = await make_plan(scenario, registry)
                options = RunOptions(output_dir=choice.output_dir, interrupt=interrupt, strict=choice.strict)
                finished = await run(plan, options)
                write_reports(finished.record, finished.directory)
                if interrupt.is_set():
                    break
                cells.append(Cell(name, one, finished))
                _say_progress(cells[-1], len(cells), len(runs))
    return cells


def _say_progress(cell: Cell, number: int, total: int) -> None:
    verdict = cell.finished.record.verdict.value
    say(f"[{number}/{total}] {harmless(cell.scenario)} {cell.config.name}: {verdict}", stream=sys.stderr)


def _say_table(cells: Sequence[Cell], scenarios: Sequence[str], configs: Sequence[NvsConfig]) -> None:
    found = {(cell.scenario, cell.config.name): cell for cell in cells}
    widths = [max(len(Path(name).name), 12) for name in scenarios]
    heads = (harmless(Path(name).name).ljust(width) for name, width in zip(scenarios, widths, strict=True))
    say(f"{'':<20}" + " ".join(heads).rstrip())
    for one in configs:
        row = [found.get((name, one.name)) for name in scenarios]
        verdicts = (
            ("-" if cell is None else cell.finished.record.verdict.value).ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        say(f"{one.name:<20}" + " ".join(verdicts).rstrip())
    for cell in cells:
        for text in cell.trouble:
            say(f"{harmless(cell.scenario)} {cell.config.name}: {harmless(text)} ({cell.finished.directory})")


def _as_json(cell: Cell) -> dict[str, object]:
    record = cell.finished.record
    return {
        "scenario": cell.scenario,
        "config": cell.config.name,
        "verdict": record.verdict.value,
        "exit_code": record.exit_code,
        "directory": str(cell.finished.directory),
        "trouble": cell.trouble,
    }
