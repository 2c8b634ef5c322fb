"""One run as a process of its own: the command, what it is given, what is kept of what it says."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from swarmrig.campaigns.task import Execution, Task
from swarmrig.errors import HostError
from swarmrig.model.units import format_seconds
from swarmrig.proc import Process, Spawner, StopLadder

STDOUT, STDERR = "stdout.jsonl", "stderr.log"
TAIL_BYTES = 32 << 20
"""Where a result is looked for, from the end."""
STOP = StopLadder(polite_s=60.0, term_s=10.0, kill_s=5.0)
"""A run that is asked to end judges and reports what there is, then a second time it only tidies up."""
_KEPT = ("SWARMRIG_STATE_DIR", "SWARMRIG_CACHE_DIR")
_CI = ("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
_NS = 1_000_000_000
_OUTCOMES = ("result", "error")


def command_of(task: Task, place: Path) -> list[str]:
    """The words of the run, whose directory appears below `place`."""
    words = [sys.executable, "-P", "-m", "swarmrig", "run", task.scenario]
    for setting in task.settings:
        words += ["--set", setting]
    return [*words, "--seed", str(task.seed), "--skip-build", "--json", "--output-dir", str(place)]


def environment_for_runs(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a run by hand would get, without options of this command: SWARMRIG_SEED is not meant for every run, and
    a CI service hears of the campaign, not of its runs."""
    given = os.environ if environment is None else environment
    return {
        name: value
        for name, value in given.items()
        if (not name.startswith("SWARMRIG_") or name in _KEPT) and name not in (*_CI, "TMPDIR")
    }


async def run_process(
    spawner: Spawner,
    task: Task,
    place: Path,
    *,
    here: Path,
    worker: str = "local",
    hurry: anyio.Event | None = None,
) -> Execution:
    """Run a task to its end, or to its time-out; `here` is the directory that its scenario's path is relative to.

    A cancelled call asks the run to end, so that it judges what there is; `hurry` cuts that short. HostError when the
    process cannot be started.
    """
    began = time.monotonic_ns()
    asking = _Asking(hurry)
    async with spawner.process(
        command_of(task, place),
        name=task.id,
        stdout=place / STDOUT,
        stderr=place / STDERR,
        env=environment_for_runs(),
        cwd=here,
        polite=asking.to_end,
        stop=STOP,
        file_size_limit=None,
    ) as process:
        asking.process = process
        with anyio.move_on_after(task.timeout_s):
            await process.wait()
        in_time = process.exit_status is not None
    lost = None if in_time else f"it did not end within {format_seconds(int(task.timeout_s * _NS))}"
    return _seen(process, place, lost, (time.monotonic_ns() - began) / _NS, worker)


class _Asking:
    """Asks a run to end: politely, and when it is to hurry, by the next signal at once."""

    def __init__(self, hurry: anyio.Event | None) -> None:
        self.process: Process | None = None
        self._hurry = hurry

    async def to_end(self) -> None:
        """Return when it has ended; InterruptedError when nobody wants to wait for that."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        if self._hurry is None:
            await self.process.wait()
        else:
            await self._hurry.wait()
            raise InterruptedError  # SIGTERM follows, the second request


def _seen(process: Process, place: Path, lost: str | None, wall_s: float, worker: str) -> Execution:
    """What is to be said of a process that has ended. What it printed goes: all of it is in the run's directory."""
    words = process.last_words()
    documents, full = outcome_of(place / STDOUT)
    with suppress(OSError):
        (place / STDOUT).unlink()
        if not (place / STDERR).stat().st_size:
            (place / STDERR).unlink()
    status = process.exit_status
    return Execution(
        exit_code=None if status is None or lost else _number(status.code, status.signal),
        documents=documents,
        last_words=words,
        lost=lost,
        no_space=full or names_full_disk(words),
        wall_s=wall_s,
        worker=worker,
    )


def outcome_of(stdout: Path) -> tuple[tuple[Mapping[str, Any], ...], bool]:
    """The documents in what a run has printed, and whether they say that a disk is full."""
    try:
        with stdout.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError as error:
        raise HostError(f"cannot read {stdout}: {error.strerror}") from error
    documents = []
    for line in data.splitlines():
        if any(line.startswith(b'{"kind":"%s"' % kind.encode()) for kind in _OUTCOMES):
            with suppress(ValueError):
                documents.append(json.loads(line))
    return tuple(documents), any(_is_full(document) for document in documents)


def _is_full(document: Mapping[str, Any]) -> bool:
    texts = [str(error.get("message")) for error in document.get("errors", ())]
    texts += [str(failure) for failure in document.get("results", {}).get("failures", ())]
    return any(map(names_full_disk, texts))


def names_full_disk(text: str) -> bool:
    """Does a message of the rig say that there is no room on a disk?"""
    return any(os.strerror(code) in text for code in (errno.ENOSPC, errno.EDQUOT))


def _number(code: int | None, number: int | None) -> int | None:
    return code if number is None else -number
