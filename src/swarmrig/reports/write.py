"""Writes the reports of a run into its directory."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.model.record import RunRecord
from swarmrig.reports.document import write_whole
from swarmrig.reports.junit import junit
from swarmrig.reports.plain import json_text
from swarmrig.reports.results import results
from swarmrig.reports.summary import SWARM_DIALECT, console_names, summary
from swarmrig.reports.text import summary_text


def write_reports(record: RunRecord, directory: Path) -> tuple[Path, ...]:
    """Write results.json, summary.json, junit.xml and summary.md, and the swarm dialect's files for its runs.

    Each file appears whole or not at all. Raises HostError when one cannot be written (a full disk); its hint
    names those that were.
    """
    documents: dict[str, Callable[[RunRecord], str]] = {
        "results.json": lambda record: json_text(results(record)),
        "summary.json": lambda record: json_text(summary(record)),
        "aggregator.json": lambda record: json_text(record.aggregator),
        "junit.xml": junit,
        "summary.md": summary_text,
    }
    if record.scenario.dialect == SWARM_DIALECT:
        documents["swarm_summary.json"] = documents["summary.json"]
    written: list[Path] = []
    name = ""
    try:
        for name, make in documents.items():
            written.append(write_whole(directory / name, make(record)))
        for console, name in console_names(record).items():
            if (directory / console).exists():
                written.append(_same_file(directory / console, directory / name))
    except OSError as error:
        names = ", ".join(path.name for path in written) or "none"
        raise HostError(
            f"cannot write {directory / name}: {error.strerror or error}",
            hint=f"reports already written: {names}; free some space, or use --output-dir",
        ) from error
    return tuple(written)


def _same_file(source: Path, path: Path) -> Path:
    """A second name of the file; a copy where the file system has no hard links."""
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        _copy(source, path)
    return path


def _copy(source: Path, path: Path) -> None:
    try:
        shutil.copyfile(source, path)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
