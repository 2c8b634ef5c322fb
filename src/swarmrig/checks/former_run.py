"""A finished run as something to compare with: read from its results.json, and refused when it ran something else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.model.record import RESULTS_FORMAT
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class FormerRun:
    """What a comparison needs of a run."""

    id: str
    verdict: str
    seed: Any
    metrics: Mapping[str, int | float | None]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> FormerRun:
        """The run of a run directory, or of a results.json. ValueError says what is wrong with it."""
        file = path / "results.json" if path.is_dir() else path
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"cannot read the former run {file}: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"{file} is not the results.json of a run: {error}") from error
        return cls._of(document, file)

    @classmethod
    def _of(cls, document: Any, file: Path) -> FormerRun:
        if not isinstance(document, dict) or document.get("format") != RESULTS_FORMAT:
            raise ValueError(f"{file} is not a results.json of format {RESULTS_FORMAT}")
        run, metrics = document.get("run"), document.get("metrics")
        if not isinstance(run, dict) or not isinstance(document.get("nodes"), list):
            raise ValueError(f"{file} is not complete")
        if not isinstance(metrics, dict) or not metrics:
            raise ValueError(f"{file} holds no metrics: it was written by an older version, run it again")
        if run.get("interrupted"):
            raise ValueError(f"the run of {file} was interrupted: its numbers are not those of a whole run")
        numbers = {name: value for name, value in metrics.items() if value is None or isinstance(value, int | float)}
        return cls(str(run.get("id")), str(document.get("verdict")), run.get("seed"), numbers, document)

    def refuse_another(self, scenario: Scenario) -> None:
        """ValueError when the run was not one of this scenario, as far as its numbers depend on it. Firmware, seed and
        checks may differ: to tell firmware apart is what comparisons are for."""
        differences = list(self._differences(scenario))
        if differences:
            raise ValueError(f"the former run {self.id} was another: {'; '.join(differences)}")

    def _differences(self, scenario: Scenario) -> Iterator[str]:
        run = self.document["run"]
        ours = {
            "name": scenario.name,
            "topology": scenario.network.topology.value,
            "network": scenario.network.mode.value,
            "time": scenario.time.value,
        }
        for key, value in ours.items():
            if run.get(key) != value and value != TimeMode.AUTO:
                yield f"{key} {run.get(key)} there, {value} here"
        if run.get("planned_s") != scenario.duration_ns / NS_PER_S:
            yield f"duration {run.get('planned_s')} s there, {scenario.duration_ns / NS_PER_S:g} s here"
        there = [(node.get("id"), node.get("role")) for node in self.document["nodes"] if isinstance(node, dict)]
        here = [(node.id, node.role.value) for node in scenario.nodes]
        if there != here:
            yield f"nodes {_named(there)} there, {_named(here)} here"
        faults = [fault.get("id") for fault in self.document.get("faults") or () if isinstance(fault, dict)]
        planned = [fault.id for fault in scenario.faults]
        if sorted(map(str, faults)) != sorted(planned):
            yield f"faults {', '.join(map(str, faults)) or 'none'} there, {', '.join(planned) or 'none'} here"


def _named(nodes: list[tuple[Any, Any]]) -> str:
    shown = ", ".join(f"{node} ({role})" for node, role in nodes[:4])
    return shown + (", …" if len(nodes) > 4 else "")
