"""A finished run, as its directory tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from swarmrig.errors import SwarmrigError
from swarmrig.model.network import NetworkPlan
from swarmrig.model.units import NS_PER_S
from swarmrig.net.plan_file import load_plan
from swarmrig.runtime.provenance import FILE as PROVENANCE
from swarmrig.runtime.tempo import EXACT, RECORDED


class IncomparableError(SwarmrigError):
    """There is nothing to compare, or comparing it would say nothing."""


@dataclass(frozen=True)
class FinishedDirectory:
    """Made by `open_finished`."""

    path: Path
    results: Mapping[str, Any]

    @property
    def scenario_file(self) -> Path:
        return self.path / "scenario.yml"

    @property
    def digest(self) -> str | None:
        return self._run.get("digest")

    @property
    def is_exact(self) -> bool:
        """Its time was virtual."""
        return bool(self._run.get("tier") == EXACT)

    @property
    def has_guests(self) -> bool:
        """Some of its nodes, or all, lived in virtual time."""
        return self._run.get("tier") in (EXACT, RECORDED)

    @property
    def run_ns(self) -> int:
        return int(self._run["run_ns"])

    @property
    def name(self) -> str:
        return str(self._run["name"])

    @cached_property
    def network(self) -> NetworkPlan:
        """What was wired. IncomparableError when it is not there any more."""
        path = self.path / "net" / "plan.json"
        try:
            return load_plan(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise IncomparableError(f"{path} cannot be read: {error}") from error

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """What it was made of; empty when nobody wrote it down."""
        try:
            found = json.loads((self.path / PROVENANCE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def doubt(self) -> str | None:
        """Why its bytes need not come again: the reason why it has no digest. None for a whole, exact run."""
        if self._run.get("tier") == RECORDED:
            return "had nodes that lived in real time: its other nodes repeat their bytes, each alone (--node)"
        if not self.is_exact:
            return "took place in real time, where no two runs have the same bytes"
        if self._run.get("interrupted"):
            return f"was interrupted at {self.run_ns / NS_PER_S:g} s"
        if self.digest is None:
            failures = self.results.get("failures") or ["it has no digest"]
            return f"did not go well: {str(failures[0]).splitlines()[0]}"
        return None

    @property
    def _run(self) -> Mapping[str, Any]:
        run: Mapping[str, Any] = self.results["run"]
        return run


def open_finished(path: Path) -> FinishedDirectory:
    """The run in this directory (or whose results.json this is). IncomparableError when there is none."""
    directory = path.parent if path.name == "results.json" else path
    file = directory / "results.json"
    hint = "give the directory of a finished run: the last line that `swarmrig run` prints names it"
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise IncomparableError(f"{directory} is no finished run: {file}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise IncomparableError(f"{file} is damaged: {error}", hint=hint) from error
    if not _is_results(results):
        raise IncomparableError(f"{file} does not hold the results of a run", hint=hint)
    return FinishedDirectory(directory, results)


def _is_results(document: Any) -> bool:
    run = document.get("run") if isinstance(document, dict) else None
    return isinstance(run, dict) and type(run.get("run_ns")) is int and isinstance(run.get("name"), str)
