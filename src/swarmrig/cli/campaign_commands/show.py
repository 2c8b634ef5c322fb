"""`swarmrig campaign show`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.campaign_options import history_option
from swarmrig.cli.options import json_option


@click.command("show")
@click.argument("campaign", metavar="[CAMPAIGN]", default="last")
@history_option
@json_option
def command(campaign: str, history: Path, as_json: bool) -> int:
    """Show how a campaign went: its runs that did not pass, by what failed.

    CAMPAIGN is a directory, a campaign.json, an id in the history (or the beginning of one), or `last`, the default.

    Exit codes: 0 shown, 3 there is no such campaign. The verdict does not count.
    """
    from swarmrig.cli.campaign_history import tell_campaign

    return tell_campaign(campaign, history, as_json=as_json)
