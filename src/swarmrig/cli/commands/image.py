"""`swarmrig image lock|build|show|check`"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import click

from swarmrig.cli.options import Command, json_option, option

_RECIPE = click.argument("recipe", metavar="RECIPE", type=click.Path(path_type=Path, dir_okay=False))
_mirror = option("--mirror", metavar="URI", help="Archive to use. Default: those that this machine's apt uses.")
_unsigned = option(
    "--unsigned", is_flag=True, help="Believe a --mirror without a signature; the lock still pins bytes."
)


def _archive_options(command: Command) -> Command:
    """--mirror and --unsigned, given to the command as one `mirror`."""

    @wraps(command)
    def with_mirror(*, mirror: str | None, unsigned: bool, **values: Any) -> Any:
        from swarmrig.fixtures.apt import Mirror

        if unsigned and mirror is None:
            raise click.UsageError("--unsigned belongs to --mirror")
        return command(mirror=None if mirror is None else Mirror(mirror, signed=not unsigned), **values)

    decorated: Command = _mirror(_unsigned(with_mirror))
    return decorated


@click.group("image")
def command() -> None:
    """Lock, build and inspect guest images: virtual machines that make fixtures."""


@command.command("lock")
@_RECIPE
@_archive_options
def lock(recipe: Path, mirror: Any) -> None:
    """Choose the newest packages for a recipe and write them to its lock: versions, sizes, sha256.

    Nothing else chooses packages. The lock is NAME.image.lock.json beside NAME.image.yml: commit it, and review what
    this prints, the changes since the last one.
    """
    from swarmrig.cli.image_actions import renew_lock

    renew_lock(recipe, mirror)


@command.command("build")
@_RECIPE
@option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Directory to make. Default: a cache.")
@option("--offline", is_flag=True, help="Fetch nothing: the store must have every package.")
@_archive_options
@json_option
def build(recipe: Path, output: Path | None, offline: bool, mirror: Any, as_json: bool) -> None:
    """Build the image from its lock, or find it built; prints its directory.

    Packages come from the store (~/.cache/swarmrig/debs), and what it lacks from the archive: exactly the locked bytes,
    or nothing. Without a lock, or with one that was edited or does not fit the recipe any more, nothing is built.

    Exit code 3 when it cannot be built.
    """
    from swarmrig.cli.image_actions import build_image

    build_image(recipe, output, mirror, offline=offline, as_json=as_json)


@command.command("show")
@click.argument("what", metavar="RECIPE|DIRECTORY", type=click.Path(path_type=Path, exists=True))
@json_option
def show(what: Path, as_json: bool) -> None:
    """Print what is locked for a recipe, or what a built image is made of."""
    from swarmrig.cli.image_actions import show_image

    show_image(what, as_json=as_json)


@command.command("check")
@_RECIPE
@option("--offline", is_flag=True, help="Ask the store alone, not the archive.")
@_archive_options
def check(recipe: Path, offline: bool, mirror: Any) -> int:
    """Say whether an image can be built here: the lock fits the recipe, and the store or the archive has every package.

    Exit codes: 0 it can be built, 2 packages are gone (each is named), 3 the recipe or its lock is wrong.
    """
    from swarmrig.cli.image_actions import check_image

    return check_image(recipe, mirror, offline=offline)
