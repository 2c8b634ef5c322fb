"""What the page's script lists and draws, as JSON. Times are in seconds since the first run of the campaign began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarmrig.campaigns.page.groups import Worker
from swarmrig.campaigns.page.runs import ShownRun

_LONGEST = 300
"""Characters of a message; its run's report has the rest."""


_HOME = "\x01"
"""Stands for the campaign's directory in commands, of which there are many."""


def page_data(runs: Sequence[ShownRun], workers: Sequence[Worker], home: Path) -> dict[str, Any]:
    """Everything that is drawn or listed by the script."""
    return {
        "home": str(home),
        "runs": [_run(run, str(home)) for run in runs],
        "workers": [_worker(worker) for worker in workers],
    }


def _run(run: ShownRun, home: str) -> list[Any]:
    """[id, word, seconds, worker, attempts, reason, where it leads, commands]; by its place in the list it is known."""
    return [
        run.name,
        run.counted,
        round(run.wall_s, 2),
        run.worker,
        run.attempts,
        run.reason[:_LONGEST],
        run.href,
        [command.replace(home, _HOME) for _, command in run.commands],
    ]


def _worker(worker: Worker) -> dict[str, Any]:
    """Each run as [number, lane, from, to]."""
    spans = zip(worker.runs, worker.lanes, worker.starts_s, strict=True)
    return {
        "name": worker.name,
        "width": worker.width,
        "runs": [[run.number, lane, round(at, 3), round(at + run.wall_s, 3)] for run, lane, at in spans],
    }
