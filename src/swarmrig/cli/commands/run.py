"""`swarmrig run`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import Choice, run_options, scenario_options
from swarmrig.model.units import NS_PER_S


@click.command("run")
@scenario_options
@run_options
def command(
    choice: Choice, output_dir: Path, strict: bool, hang_timeout_ns: int, skip_build: bool, as_json: bool
) -> int:
    """Run a preset or a scenario file and judge it.

    Boots every node, wires the network, injects the faults, judges what was seen and leaves a directory with
    all evidence. The run ends as soon as everything is decided, at the latest after its duration. Ctrl-C ends
    it early: what there is, is still judged and reported.

    Exit codes: 0 PASS, 1 WARN, 2 FAIL, 3 FATAL or error, 130 interrupted.
    """
    from swarmrig.cli.session import Manner, run_choice

    manner = Manner(
        output_dir, as_json=as_json, strict=strict, hang_timeout_s=hang_timeout_ns / NS_PER_S, skip_build=skip_build
    )
    return run_choice(choice, manner)
