"""`swarmrig sweep`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import Choice, Manner, duration_of, option, run_options, scenario_options


@click.command("sweep")
@scenario_options
@option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A list of faults, as under `faults:`, in place of the scenario's.",
)
@option(
    "--at", "at_ns", metavar="TIME", callback=duration_of, help="Where to fork. Default: where the first fault acts."
)
@option(
    "--fork",
    "forking",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="auto: where it gives the same and is quicker. always: or exit 3 with the reason.",
)
@run_options
def command(choice: Choice, manner: Manner, faults: Path | None, at_ns: int | None, forking: str) -> int:
    """Run a scenario once per fault, forked from one warm swarm.

    In virtual time the swarm is booted and brought to where the first fault acts only once. There it is
    held, and each run is forked from it: guests, network and Python nodes go on as if that run had been booted,
    to the same digest. Where forking would be wrong (real time, a fault that acts before) or booting is
    quicker, runs are booted, and the table says why. A fault comes along with those that heal it or wait for it.

    Every run has a directory of its own, with all evidence, in one directory of the sweep; sweep.json there has
    the table.

    Exit codes: that of the worst run (0 PASS, 1 WARN, 2 FAIL, 3 FATAL or error), 130 interrupted.
    """
    from swarmrig.cli.sweeping import sweep_choice

    return sweep_choice(choice, manner, faults, at_ns, forking)
