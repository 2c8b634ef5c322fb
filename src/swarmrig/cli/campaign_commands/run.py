"""`swarmrig campaign run`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.campaign_options import HISTORY, Aftermath, Selection, selection_options, size_of
from swarmrig.cli.options import json_option, option, output_dir_option

_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command("run")
@click.argument("file", metavar="[FILE]", type=_FILE, required=False)
@selection_options
@option("--jobs", type=click.IntRange(1, 1024), metavar="N", help="Cores to hand out. Default: this machine's.")
@option("--memory", "memory_bytes", metavar="SIZE", callback=size_of, help="Memory to hand out. Default: what is free.")
@option("--retries", type=click.IntRange(0, 20), metavar="N", help="Tries after a failure of the machine or the rig.")
@option("--on", "address", metavar="ADDRESS", help="Run on this Dask cluster: tcp://host:8786. Default: here.")
@option("--resume", metavar="DIR", type=_DIRECTORY, help="Go on with this campaign.")
@option("--history", metavar="FILE", type=_FILE, help="Remember it here. Default: history.sqlite beside it.")
@option("--no-history", is_flag=True, help="Do not remember it.")
@option("--no-report", is_flag=True, help="Make no report.html in the end.")
@output_dir_option
@json_option
def command(
    file: Path | None,
    selection: Selection,
    jobs: int | None,
    memory_bytes: int | None,
    retries: int | None,
    address: str | None,
    resume: Path | None,
    history: Path | None,
    no_history: bool,
    no_report: bool,
    output_dir: Path,
    as_json: bool,
) -> int:
    """Run a campaign file: scenarios × matrix × seeds, each as a process of its own, judged together.

    Runs are started as there is room for what they need (cores, memory, KVM, Docker). A run that failed because of the
    machine, an emulator or the rig is tried again, and that is told; one that was judged never is. Leaves a directory
    with campaign.json, junit.xml, summary.md, a journal, and the directory of every run.

    After Ctrl-C, or worse, `--resume DIR` runs what has not been judged yet, and again what has changed since.

    Exit codes: that of the worst run that counts; 3 too when a run could not be judged, 130 interrupted.
    """
    from swarmrig.cli.campaign_session import CampaignManner, go_on, run_file

    if history is None and not no_history:
        history = (output_dir if resume is None else resume.absolute().parent) / HISTORY.name
    aftermath = Aftermath(None if no_history else history, report=not no_report, as_json=as_json)
    manner = CampaignManner(output_dir, jobs, memory_bytes, retries, address, aftermath)
    if (file is None) == (resume is None):
        raise click.UsageError("either FILE, or --resume DIR")
    if resume is not None:
        if selection != Selection():
            raise click.UsageError("--resume goes on as it was begun: no --shard, --only")
        return go_on(resume, manner)
    assert file is not None
    return run_file(file, selection, manner)
