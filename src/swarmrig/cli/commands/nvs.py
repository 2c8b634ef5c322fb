"""`swarmrig nvs build|show|matrix`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import complete_scenario, json_option, option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("nvs")
def command() -> None:
    """Build, inspect and enumerate NVS partitions."""


@command.command("build")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@option("-o", "--output", type=_FILE, required=True, help="File to write: an NVS partition of 0x6000 bytes.")
@option("--scenario", metavar="NAME|FILE", shell_complete=complete_scenario, help="Take the values of a node of this.")
@option("--node", metavar="ID", help="Which node of the scenario.")
def build(pairs: tuple[str, ...], output: Path, scenario: str | None, node: str | None) -> None:
    """Build a partition from KEY=VALUE pairs, from a node of a scenario, or from both.

    A KEY without a namespace is in `csi_cfg`. Blobs are hexadecimal: filter_mac=AA:BB:CC:DD:EE:FF.
    """
    from swarmrig.cli.nvs_actions import build_partition
    from swarmrig.cli.output import say

    if (scenario is None) != (node is None):
        raise click.UsageError("--scenario and --node belong together")
    for entry in build_partition(pairs, output, scenario, node):
        say(str(entry))


@command.command("show")
@click.argument("file", type=_FILE)
@json_option
def show(file: Path, as_json: bool) -> int:
    """Print what a partition holds, or the partition in a flash image.

    Exit code 3 when it is damaged; what its checksums vouch for is printed all the same.
    """
    from swarmrig.cli.nvs_actions import show_partition

    return show_partition(file, as_json=as_json)


@command.command("matrix")
@option("--output-dir", type=click.Path(path_type=Path, file_okay=False), help="Write each one to NAME.bin in here.")
@json_option
def matrix(output_dir: Path | None, as_json: bool) -> None:
    """List the named configurations that a firmware should boot with, or write them as files."""
    from swarmrig.cli.nvs_actions import show_matrix

    show_matrix(output_dir, as_json=as_json)
