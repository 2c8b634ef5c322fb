"""What `campaign trends` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from swarmrig.campaigns.history import opened
from swarmrig.campaigns.results import Facts
from swarmrig.campaigns.trends import Broken, Filter, Round, Subject, Trends, trends
from swarmrig.cli.campaign_history import MOST, named
from swarmrig.cli.output import counted, harmless, say, say_json

_SLOWEST = 10


def tell_trends(history: Path, wanted: Filter, *, as_json: bool) -> int:
    """Print the trends of a history; 1 when there is nothing to tell."""
    with opened(history) as known:
        found = trends(known, wanted)
    if as_json:
        say_json(trends_json(found))
    else:
        for line in trend_lines(found):
            say(line)
    return 0 if found.campaigns else 1


def trends_json(found: Trends) -> dict[str, object]:
    """The document of --json: all numbers, with what they were counted from."""
    return {
        "campaigns": [{**asdict(each), "pass_rate": each.pass_rate} for each in found.campaigns],
        "broken": found.broken,
        "slowest": found.slowest,
        "flakiest": [{**asdict(each), "share": each.share} for each in found.flakiest],
    }


def trend_lines(found: Trends) -> Iterator[str]:
    """As text."""
    if not found.campaigns:
        yield "no campaign in the history has such runs"
        return
    yield from _table([_HEAD, *(_round_cells(each) for each in found.campaigns)])
    yield ""
    yield f"broken ({len(found.broken)})" if found.broken else "nothing is broken"
    for each in found.broken[:MOST]:
        yield from _broken_lines(each)
    yield from _more(found.broken, MOST)
    yield ""
    yield "slowest"
    for slow in found.slowest[:_SLOWEST]:
        numbers = f"median {slow.median_s:.2f} s, longest {slow.longest_s:.2f} s of {counted(slow.runs, 'run')}"
        yield f"  {_about(slow.subject)}: {numbers}"
    yield ""
    yield (
        f"undecided ({len(found.flakiest)})"
        if found.flakiest
        else "nothing is undecided: what was the same ended alike"
    )
    for one in found.flakiest[:MOST]:
        runs = one.passed + one.failed
        where = counted(one.campaigns, "campaign")
        yield f"  {_about(one.subject)}: failed {one.failed} of {runs} runs made of the same, in {where}"
    yield from _more(found.flakiest, MOST)


_HEAD = (
    "campaign",
    "",
    "started",
    "passed",
    "",
    "failed",
    "not judged",
    "retried",
    "quarantined",
    "wall time",
    "commit",
)


def _round_cells(each: Round) -> tuple[str, ...]:
    name = each.name + (f" {each.shard}" if each.shard else "")
    rate = "-" if each.pass_rate is None else f"{each.pass_rate:.1%}"
    return (
        harmless(name),
        each.id,
        each.started_at,
        rate,
        f"{each.passed}/{each.judged}",
        str(each.failed),
        str(each.not_judged),
        str(each.retried),
        str(each.quarantined),
        f"{each.wall_s:.1f} s",
        each.commit[:12] if each.commit else "-",
    )


def _broken_lines(each: Broken) -> Iterator[str]:
    since = f"since {_campaign(each.first_failed)}"
    since += f", in {counted(each.failed_in, 'campaign')}"
    yield f"  {_about(each.subject)}: {each.verdict} {since}"
    if each.reason:
        yield f"      {harmless(' '.join(each.reason.split()))}"
    if each.last_passed is None:
        yield "      never passed"
        return
    passed = f"      passed in {_campaign(each.last_passed)}; changed since: "
    yield passed + (harmless(", ".join(map(str, each.changes))) or "nothing that is recorded")


def _campaign(facts: Facts) -> str:
    commit = f", commit {facts.commit[:12]}" if facts.commit else ""
    return harmless(f"{facts.id} ({facts.started_at}{commit})")


def _about(subject: Subject) -> str:
    return f"{harmless(subject.campaign)}: {named(subject.scenario, subject.variant, subject.seed)}"


def _more(found: Sequence[object], shown: int) -> Iterator[str]:
    if len(found) > shown:
        yield f"  and {len(found) - shown} more (--json has them all)"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
