"""What a CI service is told of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swarmrig.campaigns.junit import failure_of
from swarmrig.campaigns.results import CampaignResults
from swarmrig.campaigns.text import summary_text
from swarmrig.cli.ci import LEVELS, Annotation, commands, markdown, outputs, tell, workspace
from swarmrig.model.scenario import SourceRef


def tell_ci(results: CampaignResults, directory: Path) -> None:
    """Annotate the campaign file with what failed, append the job summary, and set the outputs of the step, where
    somebody reads them."""
    tell(annotate(results, workspace()), markdown(summary_text(results)), outputs(directory, results.verdict))


def annotate(results: CampaignResults, root: Path) -> Iterator[str]:
    """One command for each run that did not pass and counts, and for what cannot be relied upon."""
    return commands(_annotations(results, SourceRef(results.campaign.file, 1, 1)), root)


def _annotations(results: CampaignResults, place: SourceRef) -> Iterator[Annotation]:
    name = results.campaign.name
    for flaky in results.flaky:
        yield "warning", f"{name}: FLAKY {flaky.tasks[0]}", flaky.message, place
    for difference in results.differences:
        level = "warning" if difference.inputs else "error"
        yield level, f"{name}: not the same {difference.tasks[0]}", difference.message, place
    for entry in results.tasks:
        result = entry.result
        if result is None or entry.task.quarantine is not None:
            continue
        title = f"{name}: {entry.word} {entry.task.id}"
        if result.verdict is None:
            yield "error", title, result.attempts[-1].reason, place
        elif result.verdict in LEVELS:
            yield LEVELS[result.verdict], title, failure_of(result), place
