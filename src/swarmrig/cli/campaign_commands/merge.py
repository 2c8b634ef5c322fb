"""`swarmrig campaign merge`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import json_option, option

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command("merge")
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=_DIRECTORY)
@option("-o", "--output", required=True, metavar="DIR", type=_DIRECTORY, help="The directory to make.")
@json_option
def command(directories: tuple[Path, ...], output: Path, as_json: bool) -> int:
    """Put the shards of one campaign together: one campaign.json, junit.xml and summary over all of them.

    The directories are those of `campaign run --shard K/N` with the same file. Runs stay where they are; the new
    directory points to them. What differs only between shards is found: flaky verdicts, digests.

    Exit codes: as `campaign run`; 130 when runs are missing.
    """
    from swarmrig.cli.campaign_session import merge_directories

    return merge_directories(directories, output, as_json=as_json)
