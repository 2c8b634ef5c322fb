"""Firmware that comes while a run lasts: looked at, copied to where nobody else can change it, then loaded."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

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


@asynccontextmanager
async def staged(node: str, load: Load, context: LaunchContext) -> AsyncIterator[Load]:
    """The same, from a private copy, which is gone when this fails; never whole in memory."""
    place = await anyio.to_thread.run_sync(_copy, node, load.file, private_directory(context))
    try:
        yield replace(load, file=place)
    except BaseException:
        place.unlink()
        raise


def discard(load: Load | None, context: LaunchContext) -> None:
    """A copy that nothing is loaded from any more."""
    if load is not None and load.file.parent == private_directory(context):
        load.file.unlink(missing_ok=True)


def _copy(node: str, source: Path, directory: Path) -> Path:
    try:
        with source.open("rb") as firmware, NamedTemporaryFile(prefix="firmware-", dir=directory, delete=False) as copy:
            place = Path(copy.name)  # nobody else can read it
            try:
                shutil.copyfileobj(firmware, copy)
            except BaseException:
                place.unlink()
                raise
    except OSError as error:
        raise NodeError(node, f"the firmware {source} cannot be copied: {error.strerror}") from error
    return place
