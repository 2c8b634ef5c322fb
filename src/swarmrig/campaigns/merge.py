"""The shards of one campaign put together: their tasks and results, in the order of the campaign."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from swarmrig.campaigns.conclude import conclude, write_results
from swarmrig.campaigns.conduct import Conducted
from swarmrig.campaigns.directory import (
    Begun,
    CampaignDirectory,
    Journal,
    merged_directory,
    new_id,
    read_journal,
    reopen_directory,
)
from swarmrig.campaigns.load import load_campaign_text
from swarmrig.campaigns.results import CampaignResults, QuarantineUse, read_results
from swarmrig.campaigns.task import Task, TaskResult
from swarmrig.errors import HostError


def merge(paths: Sequence[Path], output: Path) -> tuple[CampaignDirectory, CampaignResults]:
    """Make a directory with the results of all; runs stay where they are. Raises HostError when they are not parts of
    one campaign, when two have run the same task, or when there is something at `output` already."""
    shards = [reopen_directory(path) for path in paths]
    _refuse_others(shards)
    tasks: dict[str, Task] = {}
    found: dict[str, TaskResult] = {}
    homes: dict[str, Path] = {}
    for shard in shards:
        for task in shard.planned():
            if task.id in tasks:
                raise HostError(f"{homes[task.id]} and {shard.path} both have the run {task.id}", hint="leave one out")
            tasks[task.id], homes[task.id] = task, shard.path
        found |= {result.task: result for result in read_journal(shard.journal)}
    directory = merged_directory(output, shards[0].text, _begun(shards))
    journal = Journal(directory.journal)
    for task in tasks.values():
        if task.id in found:
            journal.add(_moved(found[task.id], homes[task.id], directory.path))
    return directory, _conclude(directory, shards, tuple(tasks.values()), journal)


def _refuse_others(shards: Sequence[CampaignDirectory]) -> None:
    first = shards[0]
    for other in shards[1:]:
        if other.text != first.text:
            raise HostError(f"{other.path} and {first.path} were made from different campaign files")


def _begun(shards: Sequence[CampaignDirectory]) -> Begun:
    earliest = min((shard.begun for shard in shards), key=lambda begun: begun.started_at)
    merged = tuple(str(shard.path) for shard in shards)
    parts = tuple(shard.begun.id for shard in shards)
    return replace(earliest, id=new_id(), shard=None, only=(), merged=merged, parts=parts)


def _moved(result: TaskResult, home: Path, new_home: Path) -> TaskResult:
    if result.directory is None:
        return result
    return replace(result, directory=os.path.relpath(home / result.directory, new_home))


def _conclude(
    directory: CampaignDirectory, shards: Sequence[CampaignDirectory], tasks: tuple[Task, ...], journal: Journal
) -> CampaignResults:
    begun = directory.begun
    plan = load_campaign_text(directory.text, begun.file, Path(begun.here))
    parts = [read_results(shard.path) for shard in shards]
    outcome = Conducted(
        interrupted=any(part.campaign.interrupted for part in parts),
        stopped=next((part.campaign.stopped for part in parts if part.campaign.stopped is not None), None),
        wall_s=sum(part.campaign.wall_s for part in parts),
    )
    directory.write_plan(tasks)
    results = conclude(
        directory,
        tasks,
        journal.results,
        values=plan.values,
        outcome=outcome,
        parts=tuple(part.campaign.id for part in parts),
        quarantine=_quarantine([part.quarantine for part in parts]),
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )
    write_results(directory, results)
    return results


def _quarantine(parts: Sequence[Sequence[QuarantineUse]]) -> tuple[QuarantineUse, ...]:
    """The same entries in all of them, each with what it met there."""
    return tuple(
        replace(
            uses[0], expired=any(use.expired for use in uses), tasks=tuple(task for use in uses for task in use.tasks)
        )
        for uses in zip(*parts, strict=True)
    )
