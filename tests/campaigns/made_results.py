"""Results of campaigns made by hand, where their content matters."""

import json
from pathlib import Path

from swarmrig.campaigns.results import FILE, CampaignResults, Entry, Facts, document_text
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending, Task, TaskResult
from swarmrig.model.verdict import EXIT_CODES, Outcome, worst

PASS, WARN, FAIL, FATAL = Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.FATAL
COUNTS = ("planned", "judged", "pass", "warn", "fail", "fatal", "infrastructure", "refused", "missing", "quarantined",
          "flaky", "retried")  # fmt: skip


def facts(name: str = "nightly", number: int = 1, **changes) -> Facts:
    """Of the campaign of that day."""
    values = {
        "id": f"c{number:07d}", "name": name, "file": "nightly.campaign.yml",
        "started_at": f"2030-01-{number:02d}T02:00:00Z", "ended_at": f"2030-01-{number:02d}T03:00:00Z", "wall_s": 12.5,
        "version": "0.1.0", "commit": f"{number:040x}",
    }  # fmt: skip
    return Facts(**values | changes)


def entry(
    verdict: Outcome | None = PASS, *, scenario="boot.yml", seed=1, repetition=1, variant=None, quarantine=None,
    key="k1", **changes,
) -> Entry:  # fmt: skip
    """A task and its result; a verdict None is a run that could not be judged."""
    variant = {} if variant is None else variant
    name = "-".join([scenario, *(f"{axis}-{label}" for axis, label in variant.items()), f"s{seed}", f"r{repetition}"])
    digest = 64 * key[-1] if all(each in "0123456789abcdef" for each in key[-1]) else 64 * "a"
    task = Task(name, key, scenario, variant, (), seed, repetition, quarantine=quarantine)
    ending, reason = (Ending.JUDGED, "") if verdict else (Ending.INFRASTRUCTURE, "time-out after 600 s")
    judged = verdict or PASS
    values = {
        "task": name, "key": key, "verdict": verdict, "exit_code": 3 if verdict is None else EXIT_CODES[verdict],
        "tier": "exact", "digest": digest if verdict else None,
        "inputs": {"nodes.a.qemu": "7.2.0", "nodes.a.firmware": 64 * "1"},
        "checks": (CheckVerdict("console", "console a", judged, "it said so" if judged is PASS else "never said"),),
        "metrics": {"nodes.a.rate_hz": 10.0 + seed},
        "attempts": (Attempt(1, ending, reason, 1.0, "local"),), "began_at": "2030-01-01T02:00:00Z",
        "wall_s": 1.0, "directory": f"runs/{name}",
    }  # fmt: skip
    return Entry(task, TaskResult(**values | changes))


def results(*entries: Entry, of: Facts | None = None, **changes) -> CampaignResults:
    verdicts = [each.result.verdict for each in entries if each.result and each.result.verdict]
    verdict = worst(verdicts) if verdicts else FATAL
    counts = dict.fromkeys(COUNTS, 0) | {"planned": len(entries), "judged": len(verdicts)}
    for each in verdicts:
        counts[each.value.lower()] += 1
    values = {"verdict": verdict, "exit_code": EXIT_CODES[verdict], "counts": counts, "tasks": entries}
    return CampaignResults(of or facts(), **values | changes)


def written(place: Path, found: CampaignResults) -> Path:
    """The directory of a campaign with these results."""
    place.mkdir(parents=True, exist_ok=True)
    (place / FILE).write_text(document_text(found))
    json.loads((place / FILE).read_text())
    return place
