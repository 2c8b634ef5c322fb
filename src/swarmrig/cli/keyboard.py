"""What somebody types while a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from swarmrig.runtime.brake import Brake
from swarmrig.runtime.waiting import beside


async def typed() -> AsyncIterator[bytes]:
    """What comes on stdin, as it comes, until that ends. A file is all there at once."""
    if sys.stdin is None or sys.stdin.closed:
        return
    fd = sys.stdin.fileno()
    while True:
        try:
            await anyio.wait_readable(fd)
        except PermissionError:  # a file or /dev/null, which the kernel does not wait for: it is readable
            await anyio.lowlevel.checkpoint()
        try:
            chunk = os.read(fd, 4096)
        except OSError:  # the terminal is gone
            return
        if not chunk:
            return
        yield chunk


@asynccontextmanager
async def released_by_enter(brake: Brake | None) -> AsyncIterator[None]:
    """While this lasts, Enter on the terminal lets a frozen swarm go on."""
    if brake is None or not sys.stdin.isatty():
        yield
        return

    async def release() -> None:
        async for chunk in typed():
            if b"\n" in chunk:
                brake.release()

    async with beside() as tasks:
        tasks.start_soon(release)
        yield
