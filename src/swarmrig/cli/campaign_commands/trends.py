"""`swarmrig campaign trends`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.campaign_options import history_option
from swarmrig.cli.options import json_option, option


@click.command("trends")
@history_option
@option("--campaign", default="*", metavar="PATTERN", help="Only campaigns with such a name.")
@option("--scenario", default="*", metavar="PATTERN", help="Only runs of such scenarios: 'boot*'.")
@option("--last", type=click.IntRange(1, 100_000), default=50, metavar="N", help="So many campaigns. Default: 50.")
@json_option
def command(history: Path, campaign: str, scenario: str, last: int, as_json: bool) -> int:
    """Tell how campaigns went over time: pass rates, what is broken since when, the slowest, the flakiest.

    Of a run that fails: the campaign in which it first failed, the last in which it passed, and what changed between
    the two (firmware, emulator, swarmrig, scenario, commit), which is where to look. Undecided is what passed and
    failed though it was made of the same. Runs in quarantine are counted apart.

    Exit codes: 0, or 1 when there is nothing to tell.
    """
    from swarmrig.campaigns.trends import Filter
    from swarmrig.cli.campaign_trends import tell_trends

    return tell_trends(history, Filter(campaign, scenario, last), as_json=as_json)
