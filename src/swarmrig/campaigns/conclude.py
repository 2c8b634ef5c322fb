"""The end of a campaign: its results from plan and journal, and the files that say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarmrig.campaigns.conduct import Conducted
from swarmrig.campaigns.directory import CampaignDirectory
from swarmrig.campaigns.judge import judge
from swarmrig.campaigns.junit import junit
from swarmrig.campaigns.native import INCLUDED, CampaignFile
from swarmrig.campaigns.results import FILE, CampaignResults, Facts, QuarantineUse, document_text, read_results
from swarmrig.campaigns.task import Task, TaskResult
from swarmrig.campaigns.text import summary_text
from swarmrig.errors import HostError
from swarmrig.reports.document import write_document
from swarmrig.runtime.directory import now_text

SUMMARY, JUNIT = "summary.md", "junit.xml"


def conclude(
    directory: CampaignDirectory,
    tasks: Sequence[Task],
    results: Mapping[str, TaskResult],
    *,
    values: CampaignFile,
    outcome: Conducted,
    parts: tuple[str, ...] = (),
    quarantine: Sequence[QuarantineUse] = (),
    warnings: Sequence[str] = (),
) -> CampaignResults:
    """Judge what there is. `results` by task; those of another content than the task has now are none of it."""
    begun = directory.begun
    facts = Facts(
        id=begun.id,
        name=begun.name,
        file=begun.file,
        started_at=begun.started_at,
        ended_at=now_text(),
        wall_s=round(_wall_before(directory) + outcome.wall_s, 3),
        shard=begun.shard_text,
        interrupted=outcome.interrupted,
        stopped=outcome.stopped,
        commit=begun.commit,
        parts=parts,
    )
    current = {task.id: results[task.id] for task in tasks if task.id in results and results[task.id].key == task.key}
    return judge(facts, tasks, current, axes=axes_of(values), quarantine=quarantine, warnings=warnings)


def axes_of(values: CampaignFile) -> dict[str, tuple[str, ...]]:
    """Axis -> labels, in order; what is included is one more axis."""
    axes = {axis: tuple(labels) for axis, labels in values.matrix.items()}
    return axes | ({INCLUDED: tuple(entry.label for entry in values.include)} if values.include else {})


def write_results(directory: CampaignDirectory, results: CampaignResults) -> None:
    """Write campaign.json, junit.xml and summary.md, each whole or not at all. Raises HostError."""
    write_document(directory.path / FILE, document_text(results))
    write_document(directory.path / JUNIT, junit(results))
    write_document(directory.path / SUMMARY, summary_text(results))


def _wall_before(directory: CampaignDirectory) -> float:
    """How long runs were executed in the parts before this one, as far as they came to write it."""
    try:
        return read_results(directory.path).campaign.wall_s
    except HostError:
        return 0.0
