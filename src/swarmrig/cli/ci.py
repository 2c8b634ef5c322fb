"""What a CI service is told beside the exit code: annotations of failed checks, and a summary of the job.

The service is known by its environment. GitHub Actions, and services that are compatible with it, set GITHUB_ACTIONS;
they read commands from what a step prints (`::error file=...::message`), Markdown from the file that
GITHUB_STEP_SUMMARY names, and what later steps may use from the file that GITHUB_OUTPUT names.

Who judges something else than a run has its own `Annotation`s and its own text, and calls
`tell(commands(annotations, workspace()), markdown(text), outputs(directory, verdict))` once it is over; while guests
may speak, `mute_commands`.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from swarmrig.cli.output import harmless, say
from swarmrig.errors import HostError
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import SourceRef
from swarmrig.model.verdict import CheckResult, Outcome
from swarmrig.reports.text import summary_text

ACTIONS, STEP_SUMMARY, WORKSPACE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"
OUTPUT = "GITHUB_OUTPUT"
MOST = 10
"""Annotations of one severity in a step, of which the service shows no more."""
Annotation = tuple[str, str, str, SourceRef | None]
"""Level (error or warning), title, message, place."""
LEVELS = {Outcome.WARN: "warning", Outcome.FAIL: "error", Outcome.FATAL: "error"}


def is_actions() -> bool:
    """Does somebody read commands from what is printed?"""
    return os.environ.get(ACTIONS) == "true"


@contextmanager
def mute_commands() -> Iterator[None]:
    """What is printed meanwhile is only text: a guest says what it likes, and must not command the CI service."""
    if not is_actions():
        yield
        return
    token = secrets.token_hex(16)
    say(f"::stop-commands::{token}", stream=sys.stderr)
    try:
        yield
    finally:
        say(f"::{token}::", stream=sys.stderr)


def tell_ci(record: RunRecord, directory: Path) -> None:
    """Annotate the scenario with what failed, append the job summary, and set the outputs of the step, where somebody
    reads them."""
    tell(annotate(record, workspace()), job_summary(record), outputs(directory, record.verdict))


def tell(annotations: Iterable[str], summary: str, results: Mapping[str, str] | None = None) -> None:
    """Say commands, append to the job summary, and set outputs, where somebody reads them. HostError when they cannot
    be written."""
    if is_actions():
        for line in annotations:
            say(line, stream=sys.stderr)
    _append("the job summary", os.environ.get(STEP_SUMMARY), summary)
    _append("the outputs of the step", os.environ.get(OUTPUT), "".join(map(_output, (results or {}).items())))


def _append(what: str, path: str | None, text: str) -> None:
    if not path or not text:
        return
    try:
        with Path(path).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise HostError(f"cannot write {what}, {path}: {error.strerror}") from error


def outputs(directory: Path, verdict: Outcome) -> dict[str, str]:
    """What later steps of a job may use: where the evidence is, and the verdict."""
    place = directory.absolute()
    return {"directory": str(place), "junit": str(place / "junit.xml"), "verdict": verdict.value}


def _output(entry: tuple[str, str]) -> str:
    """So that no value, whatever it holds, is read as another output."""
    name, value = entry
    end = secrets.token_hex(16)
    return f"{name}<<{end}\n{value}\n{end}\n"


def workspace() -> Path:
    """What paths of annotations are relative to."""
    return Path(os.environ.get(WORKSPACE) or Path.cwd())


def annotate(record: RunRecord, workspace: Path) -> Iterator[str]:
    """One command for each check that did not pass and each failure of the rig, at the check's line of the scenario."""
    return commands(annotations_of(record, record.scenario.name), workspace)


def annotations_of(record: RunRecord, name: str) -> Iterator[Annotation]:
    """Of a run that is called so."""
    yield from _of_checks(record, name)
    for failure in record.failures:
        yield "error", f"{name}: failure", failure, None


def commands(annotations: Iterable[Annotation], workspace: Path) -> Iterator[str]:
    """The annotations as a CI service reads them, as many of each level as it shows."""
    told = {"error": 0, "warning": 0}
    for level, title, message, source in annotations:
        told[level] += 1
        if told[level] <= MOST:
            properties = {**_place(source, workspace), "title": title}
            words = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
            yield f"::{level} {words}::{_data(message)}"


def _of_checks(record: RunRecord, name: str) -> Iterator[Annotation]:
    for result in record.checks:
        level = LEVELS.get(result.judgement.counted)
        if level is not None:
            title = f"{name}: {result.judgement.outcome.value} {result.label}"
            yield level, title, _message(result), result.source


def _message(result: CheckResult) -> str:
    evidence = [f"see {item}" for item in result.judgement.evidence[:3]]
    return "\n".join([result.judgement.message, *evidence])


def _place(source: SourceRef | None, workspace: Path) -> dict[str, str]:
    """Relative to the workspace; nothing for a scenario that is not in it (a preset)."""
    if source is None:
        return {}
    path = Path(source.file).absolute()
    if not path.is_relative_to(workspace.absolute()):
        return {}
    return {"file": str(path.relative_to(workspace.absolute())), "line": str(source.line), "col": str(source.column)}


def job_summary(record: RunRecord) -> str:
    """Markdown: the summary of the run."""
    return markdown(summary_text(record))


def markdown(text: str) -> str:
    """The text of a summary, in which nothing that a guest said becomes HTML or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(") + "\n"


def _data(text: str) -> str:
    return harmless(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
