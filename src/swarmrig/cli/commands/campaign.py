"""`swarmrig campaign run|plan|merge`"""

from __future__ import annotations

import click

from swarmrig.cli.lazy import LazyGroup

COMMANDS = {
    "run": "Run scenarios × matrix × seeds, wherever there is room, and judge them together.",
    "plan": "List the runs of a campaign; launch nothing.",
    "merge": "Put the shards of a campaign together again.",
}
"""Name of a command and of its module -> one line of help."""


@click.group("campaign", cls=LazyGroup, package="swarmrig.cli.campaign_commands", table=COMMANDS)
def command() -> None:
    """Run many: scenarios × matrix × seeds, with retries, shards, and one verdict over all."""
