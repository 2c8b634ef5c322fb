"""Firmware that comes while a run lasts: looked at, copied to where nobody else can change it, then loaded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import NodeError
from swarmrig.nodes.renode import wording
from swarmrig.nodes.renode.life import private_directory
from swarmrig.nodes.renode.setup import Load, Setup


def checked(command: str | None, address: int | None, setup: Setup) -> tuple[str | None, int | None]:
    """How to load, as the caller wants it or else as the scenario says. ValueError for what does not load firmware."""
    name = setup.options.load_command if command is None else wording.load_command(command)
    return name, setup.options.load_address if address is None else address


def with_load(setup: Setup, load: Load) -> Setup:
    """What the machine is made of from now on."""
    return replace(setup, load=load)


async def staged(node: str, load: Load, context: LaunchContext) -> Load:
    """The same, from a private copy that is gone with the run; never whole in memory."""
    directory = private_directory(context)
    place = directory / f"firmware-{len(list(directory.glob('firmware-*'))) + 1}"
    await anyio.to_thread.run_sync(_copy, node, load.file, place)
    return replace(load, file=place)


def _copy(node: str, source: Path, place: Path) -> None:
    try:
        place.touch(mode=0o600, exist_ok=False)
        shutil.copyfile(source, place)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise NodeError(node, f"the firmware {source} cannot be copied: {error.strerror}") from error
