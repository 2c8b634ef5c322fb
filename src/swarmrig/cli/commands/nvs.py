"""`swarmrig nvs build|show|matrix|run`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import complete_scenario, duration_option, json_option, option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("nvs")
def command() -> None:
    """Build, inspect and enumerate NVS partitions; boot nodes with each of them."""


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


@command.command("run")
@click.argument("scenarios", nargs=-1, required=True, metavar="NAME|FILE...", shell_complete=complete_scenario)
@option("--node", metavar="ID", help="The node whose settings are varied. Default: the first sensor.")
@option("--config", "configs", multiple=True, metavar="CONFIG", help="Only this configuration. Default: all 14.")
@duration_option
@option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the run directories are made. Default: runs.",
)
@option("--strict", is_flag=True, help="Count WARN as FAIL.")
@json_option
def run(
    scenarios: tuple[str, ...],
    node: str | None,
    configs: tuple[str, ...],
    duration_ns: int | None,
    output_dir: Path,
    strict: bool,
    as_json: bool,
) -> int:
    """Boot a node of each scenario with each configuration of the NVS matrix, and judge how it gets on.

    Each combination is a run of its own: the scenario without its faults and checks, one node with exactly that NVS
    partition. All nodes must boot, nothing must crash or run out of memory, and the node must say what fits: that its
    settings are those, or, with corrupt-nvs, that it lives on with its defaults.

    Exit code: the worst of all runs; 0 PASS, 1 WARN, 2 FAIL, 3 FATAL or error, 130 interrupted.
    """
    from swarmrig.cli.nvs_runs import MatrixChoice, run_matrix
    from swarmrig.flash.matrix import config

    for name in configs:
        try:
            config(name)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--config") from None
    return run_matrix(MatrixChoice(scenarios, node, configs, duration_ns, output_dir, strict, as_json))
