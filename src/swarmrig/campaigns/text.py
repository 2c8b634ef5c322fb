"""summary.md: a campaign on one page, readable as plain text and as Markdown (for the step summary of a CI job)."""

from __future__ import annotations

from collections.abc import Iterator

from swarmrig.campaigns.junit import failure_of
from swarmrig.campaigns.results import CampaignResults, Entry
from swarmrig.campaigns.task import Ending
from swarmrig.model.verdict import Outcome
from swarmrig.reports.page.words import counted
from swarmrig.reports.text import one_line, section

MOST = 50
"""Lines of a section; the rest is counted."""


def summary_text(results: CampaignResults) -> str:
    """Verdict, what failed, what could not be judged, flaky runs, retries, quarantine, warnings."""
    facts = results.campaign
    shard = "" if facts.shard is None else f", shard {facts.shard}"
    lines = [f"# {one_line(facts.name)}: {results.verdict.value}", "", f"{headline(results)}{shard}"]
    if facts.stopped is not None:
        lines += ["", f"It was stopped: {one_line(facts.stopped)}"]
    lines += section("Failed", _bounded(_failed(results)))
    lines += section("Not judged", _bounded(_not_judged(results)))
    lines += section("Flaky", _bounded(f"- {one_line(f'{each.tasks[0]}: {each.message}')}" for each in results.flaky))
    lines += section("Should be the same", _bounded(f"- {one_line(each.message)}" for each in results.differences))
    lines += section("Tried again", _bounded(_retried(results)))
    lines += section("Quarantined", _bounded(_quarantined(results)))
    lines += section("Warnings", _bounded(f"- {one_line(warning)}" for warning in results.warnings))
    return "\n".join(lines) + "\n"


def headline(results: CampaignResults) -> str:
    """The counts that are not zero, in a line."""
    counts = results.counts
    words = {
        "pass": "passed",
        "warn": "warned",
        "fail": "failed",
        "fatal": "fatal",
        "infrastructure": "not judged (infrastructure)",
        "refused": "refused",
        "missing": "not run",
        "flaky": "flaky",
        "retried": "tried again",
        "quarantined": "quarantined",
    }
    told = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
    return f"{counted(counts['planned'], 'run')}: {', '.join(told) or 'none'}"


def _bounded(lines: Iterator[str]) -> list[str]:
    found = list(lines)
    more = len(found) - MOST
    return found[:MOST] + ([f"- and {more} more: campaign.json has them all"] if more > 0 else [])


def _failed(results: CampaignResults) -> Iterator[str]:
    for entry in results.tasks:
        result = entry.result
        if result is not None and result.verdict not in (None, Outcome.PASS) and entry.task.quarantine is None:
            yield f"- {entry.word:<6} {_told(entry, failure_of(result))}"


def _not_judged(results: CampaignResults) -> Iterator[str]:
    for entry in results.tasks:
        if entry.result is not None and entry.ending is not Ending.JUDGED and entry.task.quarantine is None:
            yield f"- {entry.word} {_told(entry, entry.result.attempts[-1].reason)}"


def _retried(results: CampaignResults) -> Iterator[str]:
    for entry in results.tasks:
        if entry.result is not None and len(entry.result.attempts) > 1:
            reasons = "; ".join(attempt.reason for attempt in entry.result.attempts if attempt.reason)
            yield f"- {one_line(f'{entry.task.id}: {len(entry.result.attempts)} attempts: {reasons}')}"


def _quarantined(results: CampaignResults) -> Iterator[str]:
    for entry in results.tasks:
        if entry.task.quarantine is not None:
            yield f"- {entry.word} {_told(entry, entry.task.quarantine)}"


def _told(entry: Entry, why: str) -> str:
    return one_line(f"{entry.task.id}: {why}")
