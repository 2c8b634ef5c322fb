"""`swarmrig campaign run|plan|merge|show|compare|trends|import`"""

from __future__ import annotations

import click

from swarmrig.cli.lazy import LazyGroup

COMMANDS = {
    "run": "Run a campaign file, or go on with a campaign.",
    "plan": "List the runs of a campaign file; launch nothing.",
    "merge": "Put the shards of one campaign together.",
    "show": "Show how a campaign went.",
    "compare": "Compare two campaigns.",
    "trends": "Tell how campaigns went over time.",
    "import": "Add campaigns to a history.",
}
"""Name of a command and of its module -> one line of help."""


@click.group("campaign", cls=LazyGroup, package="swarmrig.cli.campaign_commands", table=COMMANDS)
def command() -> None:
    """Run scenarios × matrix × seeds, and judge them together."""
