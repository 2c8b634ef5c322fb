"""The directory of a campaign, and what makes it possible to go on after any interruption.

<output>/<campaign>-<time>-<id>/
  campaign.yml   the campaign file, byte for byte: a campaign that goes on is the one that was begun
  begun.json     file, shard, when it began; locked while the campaign lives
  plan.json      the tasks, as they were planned last
  tasks.jsonl    the journal: one line for each task that has ended, written when it has
  runs/<task>/<attempt>/   the run directory of every attempt
  campaign.json, junit.xml, summary.md
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from swarmrig import __version__
from swarmrig.campaigns.results import result_line, result_of_line, tasks_of_text, tasks_text
from swarmrig.campaigns.task import Task, TaskResult
from swarmrig.errors import HostError
from swarmrig.reports.document import write_document
from swarmrig.runtime.directory import held, new_directory

FORMAT = 1
JOURNAL = "tasks.jsonl"
_STATE, _TEXT, _PLAN = "begun.json", "campaign.yml", "plan.json"
_FOREIGN = "is it the directory of a campaign?"


@dataclass(frozen=True, slots=True)
class Begun:
    """What was decided when a campaign began."""

    name: str
    file: str
    here: str
    started_at: str
    version: str = __version__
    id: str = ""
    shard: tuple[int, int] | None = None
    only: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    """The directories that it was put together from; such a campaign does not go on."""
    parts: tuple[str, ...] = ()
    """The ids of those campaigns."""
    commit: str | None = None
    """See results.Facts."""

    @property
    def shard_text(self) -> str | None:
        return None if self.shard is None else f"{self.shard[0]}/{self.shard[1]}"


@dataclass(frozen=True, slots=True)
class CampaignDirectory:
    path: Path
    begun: Begun

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL

    @property
    def text(self) -> str:
        """The campaign file."""
        return _read(self.path / _TEXT)

    def place_of(self, task: str, attempt: int) -> Path:
        """A new, empty directory for one attempt at a task; what an interrupted one left there is removed."""
        path = self.path / "runs" / task / str(attempt)
        try:
            if path.exists():
                shutil.rmtree(path)
            path.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise HostError(f"cannot make {path}: {error.strerror}", hint="free some space") from error
        return path

    def write_plan(self, tasks: Sequence[Task]) -> None:
        """Note what is to be run. HostError when that cannot be written."""
        write_document(self.path / _PLAN, tasks_text(tuple(tasks)))

    def planned(self) -> tuple[Task, ...]:
        """What was noted last."""
        path = self.path / _PLAN
        try:
            return tasks_of_text(_read(path))
        except ValueError as error:
            raise HostError(f"{path} is not what a campaign writes: {str(error).splitlines()[0]}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign, so that nobody else goes on with it at the same time. Raises HostError."""
        with held(self.path / _STATE, str(self.path)):
            yield


def begin_directory(output: Path, text: str, begun: Begun) -> CampaignDirectory:
    """Make the directory of a new campaign, which gives it its id. Raises HostError."""
    made = new_directory(output, begun.name, ("runs",))
    return _write_state(made.path, text, replace(begun, id=made.id))


def merged_directory(path: Path, text: str, begun: Begun) -> CampaignDirectory:
    """Make the directory of a campaign that was run in parts. HostError when there is something already."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise HostError(f"{path} is there already", hint="name a directory that is not") from None
    except OSError as error:
        raise HostError(f"cannot make {path}: {error.strerror}") from error
    return _write_state(path.absolute(), text, begun)


def new_id() -> str:
    return secrets.token_hex(4)


def _write_state(path: Path, text: str, begun: Begun) -> CampaignDirectory:
    write_document(path / _TEXT, text)
    write_document(path / _STATE, json.dumps({"format": FORMAT, **asdict(begun)}, indent=2) + "\n")
    return CampaignDirectory(path, begun)


def reopen_directory(path: Path) -> CampaignDirectory:
    """The directory of a campaign that was begun before. Raises HostError when it is none."""
    state = path / _STATE
    try:
        found = json.loads(_read(state))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        shard = None if found["shard"] is None else (int(found["shard"][0]), int(found["shard"][1]))
        lists = {name: tuple(found[name]) for name in ("only", "merged", "parts")}
        begun = Begun(**{**found, **lists, "shard": shard})
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise HostError(f"{state} is not what a campaign writes: {error}", hint="begin a new one") from error
    return CampaignDirectory(path.absolute(), begun)


@dataclass(slots=True)
class Journal:
    """The results of tasks that have ended; the last word on a task counts."""

    path: Path
    results: dict[str, TaskResult] = field(default_factory=dict)

    def add(self, result: TaskResult) -> None:
        """Write a result behind the others, and see it on the disk. OSError when that fails: then it is not there."""
        line = result_line(result)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            try:
                written = os.write(fd, line)
                if written < len(line):
                    raise OSError(28, os.strerror(28))
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        self.results[result.task] = result


def open_journal(directory: CampaignDirectory) -> Journal:
    """What has ended before; a last line that was not finished is cut off. HostError when a line is damaged."""
    return Journal(directory.journal, {result.task: result for result in read_journal(directory.journal, cut=True)})


def read_journal(path: Path, *, cut: bool = False) -> Iterator[TaskResult]:
    """The results in a journal, as far as it was written; none when there is no journal."""
    try:
        with path.open("r+b" if cut else "rb") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if cut and whole < len(data):
                file.truncate(whole)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}", hint=_FOREIGN) from error
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            yield result_of_line(line)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise HostError(
                f"{path}:{number} is not what a campaign writes: {reason}", hint="begin a new one"
            ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", hint=_FOREIGN) from error
