"""The history of campaigns and a campaign's page, of ten thousand runs with fifty metrics each: how long, how large."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swarmrig.campaigns.compare import Side, compare_campaigns
from swarmrig.campaigns.history import opened
from swarmrig.campaigns.page.render import write_page
from swarmrig.campaigns.results import FILE, CampaignResults, Entry, Facts, document_text
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending, Task, TaskResult
from swarmrig.campaigns.trends import trends
from swarmrig.model.verdict import Outcome
from swarmrig.suites.compare import Judging

SCENARIOS, VARIANTS, SEEDS, METRICS = 5, 4, 500, 50


def run() -> None:
    runs = Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        place = Path(name)
        one, two = campaign(1), campaign(2)
        (place / FILE).write_text(document_text(two))
        with opened(place / "history.sqlite", create=True) as history:
            told = {
                "add": taken(lambda: (history.add(one, place), history.add(two, place))) / 2,
                "trends": taken(lambda: trends(history)),
                "read": taken(lambda: history.entries(two.campaign.id)),
            }
        size = (place / "history.sqlite").stat().st_size
        sides = (Side(one.campaign, one.tasks), Side(two.campaign, two.tasks))
        told["compare"] = taken(lambda: compare_campaigns(*sides, Judging()))
        told["page"] = taken(lambda: write_page(place))
        page = sum(path.stat().st_size for path in (place / "report.html", *(place / "report").iterdir()))
    times = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in told.items())
    sizes = f"two of them {size / 1e6:.1f} MB, page {page / 1e6:.1f} MB"
    print(f"history: campaigns of {len(one.tasks)} runs with {METRICS} metrics: {times}; {sizes}")


def taken(what: Callable[[], object]) -> float:
    """Wall seconds."""
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def campaign(number: int) -> CampaignResults:
    """One in which the firmware has changed since the one before, and some runs broke."""
    facts = Facts(f"c{number}", "bench", "bench.campaign.yml", f"2030-01-0{number}T00:00:00Z", "", 1.0)
    tasks = tuple(
        entry(number, scenario, variant, seed)
        for scenario in range(SCENARIOS)
        for variant in range(VARIANTS)
        for seed in range(SEEDS)
    )
    return CampaignResults(facts, Outcome.FAIL, 2, {}, tasks)


def entry(number: int, scenario: int, variant: int, seed: int) -> Entry:
    name, key = f"s{scenario}.v{variant}.s{seed}", f"{number:032x}{scenario * 10**6 + variant * 10**4 + seed:032x}"
    verdict = Outcome.FAIL if seed % 50 < number else Outcome.PASS
    check = CheckVerdict("recovers_within", "recovers_within 5s", verdict, f"cut off for {seed % 7} s after the heal")
    result = TaskResult(
        name, key, verdict, 0, "exact", key, {"nodes.a.firmware": f"{number:064x}", "nodes.a.qemu": "7.2.0"}, (check,),
        metrics={f"nodes.n{metric}.rate_hz": 10 + (seed * metric % 97) / 97 + number / 10 for metric in range(METRICS)},
        attempts=(Attempt(1, Ending.JUDGED, "", 1.5, "local"),),
        began_at=f"2030-01-0{number}T{seed // 60:02d}:{seed % 60:02d}:{scenario * 8 + variant:02d}.000Z", wall_s=0.9,
    )  # fmt: skip
    return Entry(Task(name, key, f"s{scenario}.yml", {"fw": f"v{variant}"}, (), seed), result)
