"""What the directory of a run tells, however much of it there is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from swarmrig.errors import SwarmrigError
from swarmrig.model.network import NetworkPlan
from swarmrig.net.plan_file import load_plan
from swarmrig.runtime.events import FILE as EVENTS
from swarmrig.runtime.events import Event

RESULTS = "results.json"
PLAN = "net/plan.json"
_SIGNS = (RESULTS, EVENTS, "scenario.yml", "journal.jsonl")
_MOST_PROBLEMS = 20


class NoRunError(SwarmrigError):
    """There is no run in this directory."""


@dataclass
class Material:
    """A run's directory, read once; made by `read_material`."""

    directory: Path
    results: Mapping[str, Any] | None
    """The document of results.json; None when the run did not get that far."""
    network: NetworkPlan | None
    events: tuple[Event, ...]
    problems: list[str] = field(default_factory=list)
    """What is missing or damaged, for people."""

    @property
    def run(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.results["run"] if self.results else {}
        return found

    @cached_property
    def name(self) -> str:
        """Of the scenario; of the directory when nobody has written it down."""
        started = (event.data.get("name") for event in self.events if event.kind == "run.started")
        return str(self.run.get("name") or next(started, None) or self.directory.name)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Ids, in the order of the results; those that have a directory when there are none."""
        if self.results:
            return tuple(str(node["id"]) for node in self.results["nodes"])
        try:
            return tuple(sorted(path.name for path in (self.directory / "nodes").iterdir() if path.is_dir()))
        except OSError:
            return ()

    @cached_property
    def end_ns(self) -> int:
        """The end of the run; the last event when it has none."""
        last = max((event.t_ns for event in self.events), default=0)
        return max(int(self.run.get("run_ns", last)), 1)

    @cached_property
    def line_times(self) -> Mapping[str, Mapping[int, int]]:
        """By node and number of the line, when it was complete."""
        times: dict[str, dict[int, int]] = {}
        for event in self.events:
            if event.kind == "console" and isinstance(event.data.get("line"), int):
                times.setdefault(event.source, {})[event.data["line"]] = event.t_ns
        return times

    def problem(self, text: str) -> None:
        """Remember what is wrong, unless too much is."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(text)


def read_material(path: Path) -> Material:
    """The run in this directory (or whose results.json this is); NoRunError when there is none."""
    directory = path.parent if path.name == RESULTS else path
    if not any((directory / name).exists() for name in _SIGNS):
        raise NoRunError(
            f"{directory} is not the directory of a run",
            hint="the last line that `swarmrig run` prints names a file in it",
        )
    material = Material(directory, None, None, ())
    material.results = _results(material)
    material.network = _network(material)
    material.events = tuple(_events(material))
    return material


def _results(material: Material) -> Mapping[str, Any] | None:
    file = material.directory / RESULTS
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        material.problem(f"{RESULTS} cannot be read: {error}")
        return None
    if not _is_whole(document):
        material.problem(f"{RESULTS} does not hold the results of a run")
        return None
    found: Mapping[str, Any] = document
    return found


_PARTS = {"run": dict, "verdict": str, "checks": list, "nodes": list, "links": list, "faults": list, "metrics": dict}


def _is_whole(document: Any) -> bool:
    return isinstance(document, dict) and all(isinstance(document.get(name), kind) for name, kind in _PARTS.items())


def _network(material: Material) -> NetworkPlan | None:
    try:
        return load_plan((material.directory / PLAN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        material.problem(f"{PLAN} is missing: the run ended before its network was there")
    except (OSError, ValueError, LookupError, TypeError) as error:
        material.problem(f"{PLAN} cannot be read: {error}")
    return None


def _events(material: Material) -> Iterator[Event]:
    """All that can be read; a run that was killed may have left half a line."""
    try:
        with (material.directory / EVENTS).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield _event(line)
                except (ValueError, LookupError, TypeError):
                    material.problem(f"{EVENTS}:{number} is damaged, or was not written to its end")
    except OSError as error:
        material.problem(f"{EVENTS} cannot be read: {error.strerror}")


def _event(line: bytes) -> Event:
    found = json.loads(line)
    t_ns, source, kind, data = found["t"], found["source"], found["kind"], found["data"]
    if type(t_ns) is not int or not isinstance(source, str) or not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError("no event")
    return Event(t_ns, source, kind, data)
