"""The files of a campaign's page."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from swarmrig.campaigns.history_sources import results_in
from swarmrig.campaigns.page.data import page_data
from swarmrig.campaigns.page.groups import Worker, failing, matrix, totals, workers
from swarmrig.campaigns.page.runs import FINE, RANK, ShownRun, labels, shown_runs
from swarmrig.campaigns.results import FILE, CampaignResults
from swarmrig.campaigns.task import Ending
from swarmrig.reports.page.render import PAGE
from swarmrig.reports.page.words import counted
from swarmrig.reports.web.files import command, loaded, rendered, require, write_files

_PACKAGE = "swarmrig.campaigns.page"
_SCRIPTS = ("campaign.js",)
_FILES = (FILE, "junit.xml", "summary.md", "campaign.yml")
_REASONS = 10
_LISTED = 200
"""Runs in a table that is read without a script."""
_SLOWEST = 20


def write_page(path: Path) -> Path:
    """Make report.html in a campaign's directory, with a directory `report` beside it; returns the path of the page.

    HostError when there are no results, something cannot be written (a full disk), or the libraries are missing.
    """
    require()
    results = results_in(path)
    home = (path if path.is_dir() else path.parent).absolute()
    runs = shown_runs(results, home)
    busy = workers(runs)
    texts = loaded(_PACKAGE, _SCRIPTS, page_data(runs, busy, home)) | {PAGE: partial(html, results, home, runs, busy)}
    return write_files(home, PAGE, texts, command("report", home))


def html(results: CampaignResults, home: Path, runs: tuple[ShownRun, ...], busy: tuple[Worker, ...]) -> str:
    """The page itself: everything that is read without a script is in it."""
    causes = failing(runs)
    bad = sorted((run for run in runs if run.counted not in FINE), key=lambda run: -RANK.get(run.counted, 0))
    return rendered(
        _PACKAGE,
        "page.html",
        {"counted": counted, "duration": duration, "labels": labels, "size": len},
        title=results.campaign.name,
        verdict=results.verdict,
        results=results,
        facts=results.campaign,
        why=why(results, runs),
        causes=causes,
        top=causes[:_REASONS],
        rows=matrix(runs),
        bad=bad[:_LISTED],
        bad_total=len(bad),
        again=[run for run in runs if run.attempts > 1 or run.word == "INFRA"],
        quarantined=[run for run in runs if run.entry.task.quarantine is not None],
        slowest=sorted(runs, key=lambda run: -run.wall_s)[:_SLOWEST],
        workers=busy,
        of_task={run.name: run for run in runs},
        listed=_LISTED,
        totals=totals(runs),
        commands=commands(results, home),
        files=[name for name in _FILES if (home / name).is_file()],
    )


def why(results: CampaignResults, runs: tuple[ShownRun, ...]) -> str:
    """The verdict in a sentence."""
    counting = [run for run in runs if run.entry.task.quarantine is None]
    passed = sum(run.word in FINE for run in counting)
    told = [f"{passed} of {counted(len(counting), 'run')} passed"] if counting else ["Nothing was to be run"]
    for word, text in (("INFRA", "could not be judged"), ("REFUSED", "refused"), ("NOT RUN", "not run")):
        found = sum(run.word == word for run in counting)
        told += [f"{found} {text}"] if found else []
    told += [f"{len(results.flaky)} flaky"] if results.flaky else []
    told += [f"{len(results.differences)} not the same to the byte"] if results.differences else []
    told += [f"{len(runs) - len(counting)} in quarantine"] if len(runs) > len(counting) else []
    if results.campaign.interrupted:
        told.append("interrupted: only what had ended by then is judged")
    if results.campaign.stopped:
        told.append(f"stopped early: {results.campaign.stopped}")
    return ", ".join(told) + "."


def commands(results: CampaignResults, home: Path) -> list[tuple[str, str]]:
    """(what it does, command) for the whole campaign."""
    facts = results.campaign
    endings = {entry.ending for entry in results.tasks}
    found = []
    if endings & {Ending.INTERRUPTED, Ending.INFRASTRUCTURE} and not facts.parts:
        found.append(("Go on: run what has no verdict", command("campaign", "run", "--resume", home)))
    shard = ["--shard", facts.shard] if facts.shard else []
    return [*found, ("Run it anew", command("campaign", "run", facts.file, *shard))]


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
