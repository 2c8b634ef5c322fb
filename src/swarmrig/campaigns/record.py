"""From what was seen of a run to the result of its task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swarmrig.campaigns.classify import Classified
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending, Execution, Task, TaskResult
from swarmrig.model.verdict import Outcome
from swarmrig.runtime.provenance import FILE as PROVENANCE

EXIT_NO_VERDICT = 3


def result_of(
    task: Task,
    classified: Classified,
    execution: Execution,
    attempts: Sequence[Attempt],
    began_at: str,
    place: Path,
    directory: Path,
) -> TaskResult:
    """The result after the last attempt, which left its run below `place`, in the campaign's `directory`."""
    run = run_directory(place)
    results = classified.results if classified.ending is Ending.JUDGED else None
    found: dict[str, Any] = {} if results is None else _judged(results)
    return TaskResult(
        task=task.id,
        key=task.key,
        **{"verdict": None, "exit_code": EXIT_NO_VERDICT, **found},
        inputs={} if run is None else inputs_of(run),
        attempts=tuple(attempts),
        began_at=began_at,
        wall_s=round(execution.wall_s, 3),
        worker=execution.worker,
        directory=None if run is None else str(run.relative_to(directory)),
    )


def _judged(results: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "verdict": Outcome(results["verdict"]),
        "exit_code": int(results["exit_code"]),
        "tier": results["run"]["tier"],
        "digest": results["run"]["digest"],
        "checks": tuple(
            CheckVerdict(check["name"], check["label"], Outcome(check["counted"]), check["message"])
            for check in results["checks"]
        ),
        "failures": tuple(results["failures"]),
        "metrics": results.get("metrics", {}),
    }


def run_directory(place: Path) -> Path | None:
    """The run directory below a place, which has one at most."""
    return next((path for path in sorted(place.iterdir()) if path.is_dir()), None) if place.is_dir() else None


def inputs_of(run: Path) -> dict[str, str]:
    """What a run was made of, flat; nothing when it did not come as far as to write it."""
    try:
        found = json.loads((run / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(_flat(found)) if isinstance(found, dict) else {}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
