"""What a CI service is told beside the exit code: annotations of failed checks, and a summary of the job.

The service is known by its environment. GitHub Actions, and services that are compatible with it, set GITHUB_ACTIONS;
they read commands from what a step prints (`::error file=...::message`), and Markdown from the file that
GITHUB_STEP_SUMMARY names.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarmrig.cli.output import harmless, say
from swarmrig.errors import HostError
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import SourceRef
from swarmrig.model.verdict import CheckResult, Outcome
from swarmrig.reports.text import summary_text

ACTIONS, STEP_SUMMARY, WORKSPACE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"
MOST = 10
"""Annotations of one severity in a step, of which the service shows no more."""
_LEVELS = {Outcome.WARN: "warning", Outcome.FAIL: "error", Outcome.FATAL: "error"}


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


def tell_ci(record: RunRecord) -> None:
    """Annotate the scenario with what failed, and append the job summary, where somebody reads them."""
    if is_actions():
        for line in annotate(record, Path(os.environ.get(WORKSPACE) or Path.cwd())):
            say(line, stream=sys.stderr)
    summary = os.environ.get(STEP_SUMMARY)
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(job_summary(record))
        except OSError as error:
            raise HostError(f"cannot write the job summary {summary}: {error.strerror}") from error


def annotate(record: RunRecord, workspace: Path) -> Iterator[str]:
    """One command for each check that did not pass and each failure of the rig, at the check's line of the scenario."""
    told = {"error": 0, "warning": 0}
    for level, title, message, source in (*_of_checks(record), *_of_rig(record)):
        told[level] += 1
        if told[level] <= MOST:
            properties = {**_place(source, workspace), "title": title}
            words = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
            yield f"::{level} {words}::{_data(message)}"


def _of_checks(record: RunRecord) -> Iterator[tuple[str, str, str, SourceRef | None]]:
    for result in record.checks:
        level = _LEVELS.get(result.judgement.counted)
        if level is not None:
            title = f"{record.scenario.name}: {result.judgement.outcome.value} {result.label}"
            yield level, title, _message(result), result.source


def _message(result: CheckResult) -> str:
    evidence = [f"see {item}" for item in result.judgement.evidence[:3]]
    return "\n".join([result.judgement.message, *evidence])


def _of_rig(record: RunRecord) -> Iterator[tuple[str, str, str, SourceRef | None]]:
    for failure in record.failures:
        yield "error", f"{record.scenario.name}: failure", failure, None


def _place(source: SourceRef | None, workspace: Path) -> dict[str, str]:
    """Relative to the workspace; nothing for a scenario that is not in it (a preset)."""
    if source is None:
        return {}
    path = Path(source.file).absolute()
    if not path.is_relative_to(workspace.absolute()):
        return {}
    return {"file": str(path.relative_to(workspace.absolute())), "line": str(source.line), "col": str(source.column)}


def job_summary(record: RunRecord) -> str:
    """Markdown: the summary of the run, in which no text of a guest becomes HTML or a link."""
    text = summary_text(record)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(") + "\n"


def _data(text: str) -> str:
    return harmless(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
