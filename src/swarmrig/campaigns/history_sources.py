"""A campaign as somebody names it: its directory, its campaign.json, or its id in a history."""

from __future__ import annotations

from pathlib import Path

from swarmrig.campaigns.compare import Side
from swarmrig.campaigns.conclude import conclude
from swarmrig.campaigns.conduct import Conducted
from swarmrig.campaigns.directory import JOURNAL, read_journal, reopen_directory
from swarmrig.campaigns.history import opened
from swarmrig.campaigns.load import load_campaign_text
from swarmrig.campaigns.results import FILE, CampaignResults, read_results
from swarmrig.errors import HostError


def results_in(path: Path) -> CampaignResults:
    """The results of a campaign by its directory or campaign.json; of one that goes on, or was killed, what its journal
    has. Raises HostError."""
    if path.is_dir() and not (path / FILE).exists() and (path / JOURNAL).exists():
        return _so_far(path)
    return read_results(path)


def _so_far(path: Path) -> CampaignResults:
    directory = reopen_directory(path)
    begun = directory.begun
    return conclude(
        directory,
        directory.planned(),
        {result.task: result for result in read_journal(directory.journal)},
        values=load_campaign_text(directory.text, begun.file, Path(begun.here)).values,
        outcome=Conducted(interrupted=True),
        warnings=("The campaign has not come to its end: this is what its journal has.",),
    )


def find_campaign(reference: str, history: Path) -> Side:
    """A path wins over an id. Raises HostError when it is neither."""
    path = Path(reference)
    if path.exists():
        found = results_in(path)
        return Side(found.campaign, found.tasks)
    if not history.exists():
        raise HostError(
            f"{reference[:200]} is no campaign: there is no such directory, and no history {history}",
            hint="give a campaign's directory, or --history FILE and an id in it",
        )
    with opened(history) as known:
        facts = known.campaign(reference).facts
        return Side(facts, known.entries(facts.id))
