"""`swarmrig run`"""

from __future__ import annotations

import click

from swarmrig.cli.options import Choice, Manner, option, pause_option, run_options, scenario_options


@click.command("run")
@scenario_options
@run_options
@pause_option
@option("--dry-run", is_flag=True, help="Check everything, say in short what would be run, and launch nothing.")
def command(choice: Choice, manner: Manner, dry_run: bool) -> int:
    """Run a preset or a scenario file and judge it.

    Boots every node, wires the network, injects the faults, judges what was seen and leaves a directory with
    all evidence. The run ends as soon as everything is decided, at the latest after its duration. Ctrl-C ends
    it early: what there is, is still judged and reported.

    With --pause-on-failure the swarm stands still as soon as a check or a node has failed, so that it can be
    looked at: `swarmrig console RUN NODE` shows and types. In virtual time it goes on afterwards as if nothing
    had been; in real time, where the world does not wait, the run then ends.

    Exit codes: 0 PASS, 1 WARN, 2 FAIL, 3 FATAL or error, 130 interrupted.
    """
    from swarmrig.cli.session import run_choice, try_choice

    return try_choice(choice, manner) if dry_run else run_choice(choice, manner)
