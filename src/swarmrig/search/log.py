"""What a search has run: a line for each run, appended when it has ended.

A search follows from its options and from what its runs have shown, so whoever has both can go on with it: the log
answers for the runs that have been made, up to where it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from swarmrig.errors import HostError
from swarmrig.search.observation import Observation
from swarmrig.search.schedule import Schedule

FILE = "runs.jsonl"


class RunLog:
    """Remembers runs by what was run; made by `open_log`."""

    def __init__(self, file: TextIO, known: Mapping[str, Observation], elapsed_s: float) -> None:
        self._file = file
        self._known = dict(known)
        self.elapsed_s = elapsed_s
        """For how long the search had lasted, with what was written last."""

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, schedule: Schedule, repetition: int = 0) -> Observation | None:
        """None for a run that has not been made."""
        return self._known.get(_key(schedule, repetition))

    def remember(self, schedule: Schedule, repetition: int, observation: Observation, elapsed_s: float) -> None:
        """HostError when it cannot be written."""
        entry = {
            "schedule": schedule.as_json(),
            "repetition": repetition,
            "elapsed_s": round(elapsed_s, 3),
            "observation": observation.as_json(),
        }
        self._known[_key(schedule, repetition)] = observation
        try:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            raise HostError(
                f"cannot write {self._file.name}: {error.strerror}", hint="free some space, then --resume"
            ) from error


@contextmanager
def open_log(directory: Path) -> Iterator[RunLog]:
    """The log of a search, with what is in it already. A last line that was cut off does not count."""
    path = directory / FILE
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        entries = [_entry(line, path, number) for number, line in enumerate(whole.splitlines(), 1)]
        if len(whole) < len(text):
            path.write_text(whole, encoding="utf-8")
        with path.open("a", encoding="utf-8") as file:
            known = {_key(schedule, repetition): observation for schedule, repetition, observation, _ in entries}
            yield RunLog(file, known, max((elapsed_s for *_, elapsed_s in entries), default=0.0))
    except OSError as error:
        raise HostError(f"cannot use {path}: {error.strerror}") from error


def _entry(line: str, path: Path, number: int) -> tuple[Schedule, int, Observation, float]:
    try:
        found: dict[str, Any] = json.loads(line)
        return (
            Schedule.from_json(found["schedule"]),
            found["repetition"],
            Observation.from_json(found["observation"]),
            found["elapsed_s"],
        )
    except (ValueError, KeyError, TypeError, HostError) as error:
        raise HostError(f"{path}:{number} is not what a search writes: {error}", hint="begin a new search") from error


def _key(schedule: Schedule, repetition: int) -> str:
    return f"{repetition} {schedule.key}"
