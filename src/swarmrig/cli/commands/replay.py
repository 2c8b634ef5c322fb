"""`swarmrig replay`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import anyway_option, json_option, option, output_dir_option
from swarmrig.model.units import parse_duration_ns


def _instant(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """Nanoseconds of run time."""
    try:
        instant_ns = parse_duration_ns(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if instant_ns < 0:
        raise click.BadParameter("a run begins at 0s")
    return instant_ns


@click.command("replay")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@option("--node", metavar="ID", help="Replay this node alone, from the inputs that were recorded.")
@option("--gdb", "gdb_port", metavar="PORT", type=click.IntRange(1, 65535),
        help="With --node: wait there for gdb, on 127.0.0.1:PORT.")  # fmt: skip
@option("--at", "at_ns", metavar="TIME", default="0s", callback=_instant,
        help="With --gdb: wait at this run time. Default: before the first instruction.")  # fmt: skip
@anyway_option
@output_dir_option
@json_option
def command(
    run: Path, node: str | None, gdb_port: int | None, at_ns: int, anyway: bool, output_dir: Path, as_json: bool
) -> int:
    """Repeat a finished run, or one node of it, and compare.

    RUN is the directory of a run in virtual time. The run is repeated from its own scenario.yml, and must give the
    same bytes; if it does not, the first event that differs is shown from both sides. With --node, one node lives
    again alone: its emulator gets the frames, console input, resets and memory faults that it got in the run, at
    the same nanoseconds. So it can be stopped and debugged at any virtual time without anything else noticing. In
    a run in paced time, that can be done with each node that lived in virtual time.

    Exit codes: 0 equal, 2 different, 3 it cannot be repeated or compared, 130 interrupted.
    """
    from swarmrig.cli.replaying import ReplayChoice, replay

    if gdb_port is not None and node is None:
        raise click.UsageError("--gdb debugs one node: say which one with --node")
    if at_ns and gdb_port is None:
        raise click.UsageError("--at says where --gdb PORT waits")
    return replay(ReplayChoice(run, node, gdb_port, at_ns, anyway, output_dir), as_json=as_json)
