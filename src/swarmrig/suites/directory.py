"""The directory of a suite's run, and what makes it possible to go on after an interruption.

<output>/<suite>-<mode>-<time>-<id>/
  suite.yml      the suite file, byte for byte: a run that goes on is the run that was begun
  suite.json     mode, variables, repetitions, when it began; locked while the run lives
  manifest.tsv   one row for each scenario that has ended
  runs/<scenario>[-<repetition>]/   logs and artifacts of one run of a scenario
  summary.json, junit.xml, statistics.json
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.reports.document import write_document
from swarmrig.runtime.directory import held, new_directory

FORMAT = 1
MANIFEST = "manifest.tsv"
_STATE, _TEXT = "suite.json", "suite.yml"


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """What was decided when a suite's run began."""

    file: str
    here: str
    mode: str
    started_at: str
    repetitions: int
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those that the command line set."""


@dataclass(frozen=True, slots=True)
class SuiteDirectory:
    path: Path
    run: SuiteRun

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST

    @property
    def build(self) -> Path:
        return self.path / "build"

    @property
    def text(self) -> str:
        return _read(self.path / _TEXT)

    def of_scenario(self, scenario_id: str, repetition: int) -> Path:
        """A new, empty directory for one run of a scenario; what an interrupted one left there is removed."""
        name = scenario_id if self.run.repetitions == 1 else f"{scenario_id}-{repetition}"
        path = self.path / "runs" / name
        try:
            if path.exists():
                shutil.rmtree(path)
            path.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise HostError(f"cannot make {path}: {error.strerror}") from error
        return path


def begin_directory(output: Path, name: str, text: str, run: SuiteRun) -> SuiteDirectory:
    """Make the directory of a new run. Raises HostError."""
    made = new_directory(output, f"{name}-{run.mode}", ("runs", "build"))
    write_document(made.path / _TEXT, text)
    write_document(made.path / _STATE, json.dumps({"format": FORMAT, **asdict(run)}, indent=2) + "\n")
    return SuiteDirectory(made.path, run)


def reopen_directory(path: Path) -> SuiteDirectory:
    """The directory of a run that was begun before. Raises HostError when it is none."""
    state = path / _STATE
    try:
        found = json.loads(_read(state))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        run = SuiteRun(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HostError(f"{state} is not what a suite's run writes: {error}", hint="begin a new run") from error
    return SuiteDirectory(path.absolute(), run)


@contextmanager
def locked(directory: SuiteDirectory) -> Iterator[None]:
    """Hold the run, so that nobody else goes on with it at the same time. Raises HostError."""
    with held(directory.path / _STATE, str(directory.path)):
        yield


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HostError(f"cannot read {path}: {reason}", hint="is it the directory of a suite's run?") from error
