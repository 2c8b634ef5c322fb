"""campaign.json: what became of a campaign. The format is versioned (`format`), and described by results.schema.json
beside this module: keys are added within a format, never removed or given another meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from swarmrig import __version__
from swarmrig.campaigns.task import Ending, Task, TaskResult
from swarmrig.errors import HostError
from swarmrig.model.verdict import Outcome

FORMAT = 1
FILE = "campaign.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a campaign was."""

    id: str
    """Unique; the end of its directory's name. Merged shards have one of their own."""
    name: str
    file: str
    """The campaign file, as it was named when the campaign began."""
    started_at: str
    """ISO 8601, UTC."""
    ended_at: str
    wall_s: float
    """How long runs were executed, resumed campaigns with all their parts."""
    version: str = __version__
    shard: str | None = None
    """`K/N`, when it is a part of a campaign."""
    interrupted: bool = False
    stopped: str | None = None
    """Why it ended early though nobody interrupted it: a full disk."""
    commit: str | None = None
    """Of the git repository of the campaign file, when it began; see history_commit.commit_of."""
    parts: tuple[str, ...] = ()
    """The ids of the campaigns that it was merged of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task and what became of it; `result` is None when it has not been run, or not to its end."""

    task: Task
    result: TaskResult | None = None

    @property
    def ending(self) -> Ending:
        """How it ended; INTERRUPTED when there is no result."""
        return self.result.ending if self.result is not None else Ending.INTERRUPTED

    @property
    def word(self) -> str:
        """For tables: its verdict, or in a word why there is none."""
        if self.result is not None and self.result.verdict is not None:
            return self.result.verdict.value
        return {Ending.INFRASTRUCTURE: "INFRA", Ending.REFUSED: "REFUSED"}.get(self.ending, "NOT RUN")


@dataclass(frozen=True, slots=True)
class Flaky:
    """Repetitions of one run that did not end alike."""

    scenario: str
    variant: Mapping[str, str]
    seed: int
    tasks: tuple[str, ...]
    verdicts: Mapping[str, tuple[str, ...]]
    """Verdict -> ids of the tasks that had it."""
    message: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Runs that should be the same to the byte, and are not."""

    key: str
    tasks: tuple[str, ...]
    digests: Mapping[str, tuple[str, ...]]
    """Digest -> ids of tasks."""
    inputs: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Each input that differs: value -> ids of tasks. Empty: the same was run, and something else came out."""
    message: str


@dataclass(frozen=True, slots=True)
class QuarantineUse:
    """An entry of `quarantine`, and what it met."""

    reason: str
    until: str | None
    expired: bool
    """Then what it matches counts."""
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CampaignResults:
    """The whole of campaign.json."""

    campaign: Facts
    verdict: Outcome
    """The worst that counts; of what was judged."""
    exit_code: int
    counts: Mapping[str, int]
    tasks: tuple[Entry, ...]
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Axis -> the labels of its values, in order."""
    flaky: tuple[Flaky, ...] = ()
    differences: tuple[Difference, ...] = ()
    quarantine: tuple[QuarantineUse, ...] = ()
    warnings: tuple[str, ...] = ()


_RESULTS = TypeAdapter(CampaignResults)
_RESULT = TypeAdapter(TaskResult)
_TASKS = TypeAdapter(tuple[Task, ...])


def schema() -> dict[str, Any]:
    """The JSON Schema of campaign.json."""
    text = files("swarmrig.campaigns").joinpath("results.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def document(results: CampaignResults) -> dict[str, Any]:
    """The document of campaign.json."""
    head = {"format": FORMAT, "generator": {"name": "swarmrig", "version": __version__}}
    dumped: dict[str, Any] = _RESULTS.dump_python(results, mode="json")
    return head | dumped


def document_text(results: CampaignResults) -> str:
    """The text of campaign.json: one line a task, so that it can be read and compared."""
    found = document(results)
    lines = [f"{json.dumps(key)}: {_value(value)}" for key, value in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_results(path: Path) -> CampaignResults:
    """The results in a campaign's directory, or in its campaign.json. Raises HostError when they are not that."""
    file = path / FILE if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT}")
        return _RESULTS.validate_python({key: found[key] for key in found if key in CampaignResults.__slots__})
    except OSError as error:
        raise HostError(
            f"cannot read {file}: {error.strerror}", hint="is it the directory of a campaign that has ended?"
        ) from error
    except (ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise HostError(f"{file} is not what a campaign writes: {reason}") from error


def result_line(result: TaskResult) -> bytes:
    """One line of a journal, with its line end."""
    return _RESULT.dump_json(result) + b"\n"


def result_of_line(line: bytes) -> TaskResult:
    """The result in such a line. ValueError when there is none."""
    return _RESULT.validate_json(line)


def tasks_text(tasks: tuple[Task, ...]) -> str:
    """Tasks as JSON, one a line."""
    return _value(_TASKS.dump_python(tasks, mode="json")) + "\n"


def tasks_of_text(text: str) -> tuple[Task, ...]:
    """The tasks of such a text. ValueError when there are none in it."""
    return _TASKS.validate_json(text)


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(_compact(item) for item in value) + "\n]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": "), allow_nan=False)
