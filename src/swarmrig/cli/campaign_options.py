"""Options that the commands of `campaign` share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from swarmrig.cli.options import Command, option
from swarmrig.model.units import parse_size_bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs of a campaign."""

    shard: tuple[int, int] | None = None
    """(K, N): the K-th of N parts, from 1."""
    only: tuple[str, ...] = ()
    """Patterns (`*`, `?`, `[…]`) of ids; none: all."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is done with the results of a campaign beside writing them."""

    history: Path | None = None
    report: bool = False
    as_json: bool = False


def _shard(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value.strip())
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"expected K/N, the K-th of N parts, for example 2/5, got {value!r}")
    return int(found[1]), int(found[2])


def size_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Bytes of `512MiB`, `8GB`."""
    if value is None:
        return None
    try:
        return parse_size_bytes(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_SELECTION_OPTIONS = (
    option("--shard", metavar="K/N", callback=_shard, help="Only the K-th of N parts: each run is in one of them."),
    option("--only", multiple=True, metavar="PATTERN", help="Only runs whose id matches: 'office.*', '*.s7'."),
)


def selection_options(command: Command) -> Command:
    """--shard and --only, given to the command as one `selection`."""

    @wraps(command)
    def with_selection(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in Selection.__dataclass_fields__}
        return command(selection=Selection(**chosen), **values)

    decorated: Command = with_selection
    for decorate in reversed(_SELECTION_OPTIONS):
        decorated = decorate(decorated)
    return decorated


HISTORY = Path("runs/history.sqlite")

history_option = option(
    "--history",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=HISTORY,
    help=f"The history of campaigns. Default: {HISTORY}.",
)
