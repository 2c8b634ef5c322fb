"""`swarmrig init`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import option

_TOPOLOGIES = ("star", "mesh", "line", "ring")


@click.command("init")
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path), default=Path("swarm.swarmrig.yml"))
@option("--firmware", type=click.Path(path_type=Path), help="What the nodes boot: your ELF file or flash image.")
@option("--machine", metavar="NAME", help="Machine of every node. Default: the one that the firmware is for.")
@option("--nodes", type=click.IntRange(1, 256), default=3, show_default=True, metavar="N", help="How many nodes.")
@option("--topology", type=click.Choice(_TOPOLOGIES), default="star", show_default=True, help="How they are wired.")
@option("--force", is_flag=True, help="Replace a file that is there.")
def command(file: Path, firmware: Path | None, machine: str | None, nodes: int, topology: str, force: bool) -> int:
    """Write a first scenario, with comments, and the schema that completes it in editors.

    FILE (default: swarm.swarmrig.yml; in a directory that is named, there) runs as it is: a coordinator and
    sensors, one fault, three checks. Without --firmware the nodes run the reference firmware of this package.

    Exit codes: 0 written, 3 not: something is there already, or the firmware cannot be booted.
    """
    from swarmrig.cli.starting import InitChoice, write_starter

    return write_starter(InitChoice(file, firmware, machine, nodes, topology, force))
