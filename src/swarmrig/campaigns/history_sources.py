"""A campaign as somebody names it: its directory, its campaign.json, or its id in a history."""

from __future__ import annotations

from pathlib import Path

from swarmrig.campaigns.compare import Side
from swarmrig.campaigns.history import opened
from swarmrig.campaigns.results import read_results
from swarmrig.errors import HostError


def find_campaign(reference: str, history: Path) -> Side:
    """A path wins over an id. Raises HostError when it is neither."""
    path = Path(reference)
    if path.exists():
        found = read_results(path)
        return Side(found.campaign, found.tasks)
    if not history.exists():
        raise HostError(
            f"{reference[:200]} is no campaign: there is no such directory, and no history {history}",
            hint="give a campaign's directory, or --history FILE and an id in it",
        )
    with opened(history) as known:
        facts = known.campaign(reference).facts
        return Side(facts, known.entries(facts.id))
