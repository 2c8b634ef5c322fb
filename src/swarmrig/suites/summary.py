"""The verdict of a suite: every row of its manifest judged by the thresholds of a mode."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.suites.manifest import REPETITION, Row
from swarmrig.suites.readings import Warn, read_groups
from swarmrig.suites.statistics import describe
from swarmrig.suites.suite import Shape, Suite
from swarmrig.suites.thresholds import Check, Readings, Threshold, check, check_value, find

ALL_PASSED = "all checks passed"
NOT_AN_EXIT = -1
"""The exit code of a process whose cell is no number."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a summary says about the run as a whole, word for word."""

    run_id: str = ""
    run_dir: str = ""
    started_at: str = ""
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioVerdict:
    """One row of a manifest, judged."""

    row: Row
    shape: Shape
    exits: dict[str, int]
    readings: Readings
    checks: tuple[Check, ...]

    @property
    def ended_well(self) -> bool:
        return all(self.shape.is_right(process, code) for process, code in self.exits.items())

    @property
    def passed(self) -> bool:
        return self.ended_well and all(check.passed for check in self.checks)

    @property
    def violations(self) -> list[str]:
        return [check.violation for check in self.checks if check.violation is not None]

    @property
    def reason(self) -> str:
        if not self.ended_well:
            return f"process_rc({','.join(f'{process}={code}' for process, code in self.exits.items())})"
        return "; ".join(self.violations) or ALL_PASSED

    def as_json(self) -> dict[str, Any]:
        row, shape = self.row, self.shape
        logs = {f"{process}_log": row.text(f"{process}_log") for process in shape.processes}
        artifacts = {artifact: row.text(f"{artifact}_path") for artifact in shape.artifacts}
        return {
            "order": row.order,
            "id": row.scenario_id,
            "name": row.text("name"),
            "status": "pass" if self.passed else "fail",
            "reason": self.reason,
            "duration_ms": row.integer("duration_ms", 0),
            "process_exit": self.exits,
            "metrics": {name: dict(reading.values) for name, reading in self.readings.items()},
            "checks": [check.as_json() for check in self.checks],
            "violations": self.violations,
            "evidence": logs | artifacts,
        }


@dataclass(frozen=True, slots=True)
class OverRuns:
    """A threshold of a scenario, applied to a percentile over all of its runs."""

    scenario: str
    runs: int
    check: Check

    def as_json(self) -> dict[str, Any]:
        return {"scenario": self.scenario, "over": self.check.threshold.over, "runs": self.runs} | self.check.as_json()

    def __str__(self) -> str:
        said = self.check.violation or f"{self.check.threshold.metric}={self.check.actual}"
        return f"{self.scenario}: {self.check.threshold.over} over {self.runs} runs: {said}"


def over_runs(verdicts: Sequence[ScenarioVerdict], suite: Suite, mode: str) -> list[OverRuns]:
    """Judge the thresholds that are about all runs of a scenario; a run without the number is a violation."""
    found = []
    for scenario in dict.fromkeys(verdict.row.scenario_id for verdict in verdicts):
        runs = [verdict for verdict in verdicts if verdict.row.scenario_id == scenario]
        for threshold in suite.thresholds(mode).of(scenario):
            if threshold.over is not None:
                found.append(OverRuns(scenario, len(runs), _check_runs(threshold, [run.readings for run in runs])))
    return found


def _check_runs(threshold: Threshold, runs: Sequence[Readings]) -> Check:
    assert threshold.over is not None
    values = [value for readings in runs if isinstance(value := find(threshold, readings), int | float)]
    if len(values) < len(runs):
        return Check(threshold, None, f"no {threshold.metric} in {len(runs) - len(values)} of {len(runs)} runs")
    return check_value(threshold, describe(values)[threshold.over])


def required_columns(suite: Suite) -> set[str]:
    """Without these columns there is nothing to judge."""
    shapes = (suite.shape, *suite.shapes.values())
    exits = {f"{process}_rc" for shape in shapes for process in shape.processes}
    return {"scenario_id"} | exits | {column for shape in shapes for group in shape.groups for column in group.columns}


def judge_row(row: Row, suite: Suite, mode: str, places: Sequence[Path], warn: Warn) -> ScenarioVerdict:
    """Read what a row points to, and judge it. A relative path is looked for in `places`, in that order."""
    shape = suite.shape_of(row.scenario_id)
    files = {column: _file(row.text(column), places) for group in shape.groups for column in group.columns}
    readings = read_groups(shape.groups, files, lambda text: warn(f"{row.scenario_id}: {text}"))
    exits = {process: row.integer(f"{process}_rc", NOT_AN_EXIT) for process in shape.processes}
    thresholds = suite.thresholds(mode).of(row.scenario_id)
    checks = tuple(check(threshold, readings) for threshold in thresholds if threshold.over is None)
    return ScenarioVerdict(row, shape, exits, readings, checks)


def summarize(
    verdicts: Sequence[ScenarioVerdict], suite: Suite, mode: str, facts: RunFacts, *, repetitions: int = 1
) -> dict[str, Any]:
    """The document of summary.json; `over_runs` is in it when there are thresholds about all runs of a scenario."""
    passed = sum(verdict.passed for verdict in verdicts)
    complete = not differences(verdicts, suite.scenarios, repetitions)
    together = over_runs(verdicts, suite, mode)
    all_pass = complete and passed == len(verdicts) and all(each.check.passed for each in together)
    document = {
        "task": suite.task,
        "mode": mode,
        "run_id": facts.run_id,
        "run_dir": facts.run_dir,
        "started_at": facts.started_at,
        "finished_at": facts.finished_at,
        "thresholds": suite.thresholds(mode).as_json(),
        "counts": {"total": len(verdicts), "pass": passed, "fail": len(verdicts) - passed},
        "all_pass": all_pass,
        "recommended_exit_code": 0 if all_pass else 1,
        "scenarios": [verdict.as_json() for verdict in verdicts],
    }
    return document | ({"over_runs": [each.as_json() for each in together]} if together else {})


def differences(verdicts: Iterable[ScenarioVerdict], expected: Iterable[str], repetitions: int = 1) -> list[str]:
    """How what ran differs from what should have run; empty when each scenario ran, once for each repetition."""
    ran = Counter(verdict.row.scenario_id for verdict in verdicts)
    wanted = dict.fromkeys(expected, repetitions)
    if not wanted:
        return ["no scenario is expected: nothing can pass"]
    found = [f"scenario {name!r} did not run" for name in wanted if name not in ran]
    found += [f"scenario {name!r} is not one of those expected" for name in ran if name not in wanted]
    for name, count in wanted.items():
        if ran[name] not in (0, count):
            found.append(f"scenario {name!r} stands in the manifest {ran[name]} times, expected {count}")
    return found


def repetitions_in(rows: Iterable[Row]) -> int:
    """How often each scenario was run, as the column of that name says; 1 without it."""
    return max((row.integer(REPETITION, 1) for row in rows), default=1)


def summary_text(document: dict[str, Any]) -> str:
    """The summary as it is written: ASCII JSON, indented by 2, a newline at the end."""
    return json.dumps(_printable(document), indent=2, allow_nan=False) + "\n"


def _printable(value: Any) -> Any:
    """Bytes of names that are no UTF-8, and halves of characters, cannot stand in JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def _file(text: str, places: Sequence[Path]) -> Path | None:
    if not text.strip():
        return None
    candidates = [place / text for place in places] or [Path(text)]
    return next((path for path in candidates if _exists(path)), candidates[0])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
