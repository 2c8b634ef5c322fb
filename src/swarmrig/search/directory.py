"""The directory of a search, and what makes it possible to go on with it.

<output>/<scenario>-explore-<time>-<id>/
  explore.json      what was asked for; locked while the search lives
  scenario.yml      the scenario, resolved
  runs.jsonl        a line for each run, see search.log
  baseline/         the runs without any fault of the search; baseline.json: what the first one showed
  finding-1.swarmrig.yml, test_finding_1.py     for each finding
  finding-1/        the runs that confirmed it
  findings.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.reports.document import write_document
from swarmrig.runtime.directory import held, new_directory

FORMAT = 1
FINDINGS = "findings.json"
_STATE, _SCENARIO = "explore.json", "scenario.yml"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides which schedules are tried, in which order."""

    version: str
    seed: int = 0
    kinds: tuple[str, ...] = ()
    """Of faults; none for all."""
    most: int = 4
    """Faults in one schedule."""
    seeds: tuple[int, ...] = ()
    """Of runs; none for the scenario's own."""
    checks: tuple[str, ...] = ()
    """Labels of those that matter; none for all."""
    from_ns: int | None = None
    until_ns: int | None = None
    guided: bool = True
    confirm: int = 3


@dataclass(frozen=True, slots=True)
class SearchDirectory:
    path: Path
    settings: Settings

    @property
    def scenario(self) -> Path:
        return self.path / _SCENARIO

    @property
    def work(self) -> Path:
        """Where runs are that nobody will look at."""
        return self.path / "work"

    @property
    def baseline(self) -> Path:
        return self.path / "baseline"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search, so that nobody else goes on with it at the same time. Raises HostError."""
        with held(self.path / _STATE, str(self.path)):
            yield


def begin_directory(output: Path, name: str, scenario: str, settings: Settings) -> SearchDirectory:
    """Make the directory of a new search. Raises HostError."""
    path = new_directory(output, f"{name}-explore", ()).path
    write_document(path / _SCENARIO, scenario)
    write_document(path / _STATE, json.dumps({"format": FORMAT, **asdict(settings)}, indent=2) + "\n")
    return SearchDirectory(path, settings)


def reopen_directory(path: Path, scenario: str, version: str) -> SearchDirectory:
    """The directory of a search that was begun before, of this scenario. Raises HostError when it is another's."""
    state = path / _STATE
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        lists = {key: tuple(found[key]) for key in ("kinds", "seeds", "checks")}
        settings = Settings(**{**found, **lists})
        begun_with = (path / _SCENARIO).read_text(encoding="utf-8")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HostError(f"{path} is not the directory of a search: {reason}", hint="begin a new one") from error
    if settings.version != version:
        raise HostError(
            f"{path} was begun by swarmrig {settings.version}, this is {version}", hint="begin a new search"
        )
    if begun_with != scenario:
        raise HostError(
            f"{path} was begun with another scenario: the file has changed since, or it is another one",
            hint=f"compare `swarmrig show FILE` with {path / _SCENARIO}, or begin a new search",
        )
    return SearchDirectory(path.absolute(), settings)
