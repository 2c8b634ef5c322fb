"""The verdict over a campaign: the worst of what counts, flaky runs, and what could not be judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from swarmrig.campaigns.results import CampaignResults, Difference, Entry, Facts, Flaky, QuarantineUse
from swarmrig.campaigns.sameness import differences
from swarmrig.campaigns.task import Ending, Task, TaskResult
from swarmrig.model.verdict import EXIT_CODES, EXIT_INTERRUPTED, Outcome, worst

EXIT_INFRASTRUCTURE = 3
NOTHING_COUNTS = "nothing that counts was judged"


def judge(
    facts: Facts,
    tasks: Sequence[Task],
    results: Mapping[str, TaskResult],
    *,
    axes: Mapping[str, tuple[str, ...]],
    quarantine: Sequence[QuarantineUse] = (),
    warnings: Sequence[str] = (),
) -> CampaignResults:
    """The results of a campaign; `results` by task, of those that have one for the task as it is now."""
    entries = tuple(Entry(task, results.get(task.id)) for task in tasks)
    different = differences(entry.result for entry in entries if entry.result is not None)
    flaky = flaky_of(entries)
    counting = [entry for entry in entries if entry.task.quarantine is None]
    verdict, nothing = _verdict(counting, different)
    return CampaignResults(
        campaign=facts,
        verdict=verdict,
        exit_code=_exit_code(verdict, counting, facts),
        counts=_counts(entries, flaky),
        tasks=entries,
        axes=axes,
        flaky=flaky,
        differences=different,
        quarantine=tuple(quarantine),
        warnings=(*warnings, *nothing),
    )


def _verdict(counting: Sequence[Entry], different: Sequence[Difference]) -> tuple[Outcome, tuple[str, ...]]:
    """Runs that should be the same and are not are a failure, if nothing tells why; a warning, if an input does."""
    found = [
        entry.result.verdict for entry in counting if entry.result is not None and entry.result.verdict is not None
    ]
    ids = {entry.task.id for entry in counting}
    outcomes = found + [
        Outcome.WARN if difference.inputs else Outcome.FAIL for difference in different if ids & {*difference.tasks}
    ]
    return (worst(outcomes), ()) if found else (Outcome.WARN, (NOTHING_COUNTS,))


def _exit_code(verdict: Outcome, counting: Sequence[Entry], facts: Facts) -> int:
    if facts.stopped is not None:
        return EXIT_INFRASTRUCTURE
    if facts.interrupted or any(entry.ending is Ending.INTERRUPTED for entry in counting):
        return EXIT_INTERRUPTED
    if any(entry.ending in (Ending.INFRASTRUCTURE, Ending.REFUSED) for entry in counting):
        return EXIT_INFRASTRUCTURE
    return EXIT_CODES[verdict]


def flaky_of(entries: Iterable[Entry]) -> tuple[Flaky, ...]:
    """Repetitions of one run that were judged differently."""
    groups: dict[object, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.result is not None and entry.result.verdict is not None:
            groups[entry.task.group].append(entry)
    found = []
    for group in groups.values():
        verdicts: dict[str, list[str]] = defaultdict(list)
        for entry in group:
            verdicts[entry.word].append(entry.task.id)
        if len(verdicts) > 1:
            found.append(_flaky(group, verdicts))
    return tuple(found)


def _flaky(group: Sequence[Entry], verdicts: Mapping[str, Sequence[str]]) -> Flaky:
    task = group[0].task
    told = ", ".join(f"{len(ids)} × {verdict}" for verdict, ids in verdicts.items())
    return Flaky(
        scenario=task.scenario,
        variant=task.variant,
        seed=task.seed,
        tasks=tuple(entry.task.id for entry in group),
        verdicts={verdict: tuple(ids) for verdict, ids in verdicts.items()},
        message=f"{len(group)} repetitions ended differently: {told}; checks that differ: {_differing(group)}",
    )


def _differing(group: Sequence[Entry]) -> str:
    seen: dict[str, set[Outcome]] = defaultdict(set)
    for entry in group:
        for check in entry.result.checks if entry.result is not None else ():
            seen[check.label].add(check.counted)
    return ", ".join(label for label, outcomes in seen.items() if len(outcomes) > 1) or "none"


def _counts(entries: Sequence[Entry], flaky: Sequence[Flaky]) -> dict[str, int]:
    verdicts = [entry.result.verdict for entry in entries if entry.result is not None]
    endings = [entry.ending for entry in entries]
    return {
        "planned": len(entries),
        "judged": sum(verdict is not None for verdict in verdicts),
        **{outcome.value.lower(): verdicts.count(outcome) for outcome in EXIT_CODES},
        "infrastructure": endings.count(Ending.INFRASTRUCTURE),
        "refused": endings.count(Ending.REFUSED),
        "missing": endings.count(Ending.INTERRUPTED),
        "quarantined": sum(entry.task.quarantine is not None for entry in entries),
        "flaky": len(flaky),
        "retried": sum(entry.result is not None and len(entry.result.attempts) > 1 for entry in entries),
    }
