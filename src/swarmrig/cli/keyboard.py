"""What somebody types while a command runs."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

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


@contextmanager
def without_echo() -> Iterator[None]:
    """While this lasts, the terminal does not show what is typed: that would tear a picture that redraws itself."""
    fd = _own_terminal()
    if fd is None:
        yield
        return
    before = termios.tcgetattr(fd)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, silent)
        yield
    finally:
        if _own_terminal() is not None:  # in the background it is somebody else's by now
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _own_terminal() -> int | None:
    """The terminal of stdin, if this process is in its foreground: others are stopped when they change it."""
    try:
        fd = sys.stdin.fileno()
        return fd if os.tcgetpgrp(fd) == os.getpgrp() else None
    except (AttributeError, OSError, ValueError):
        return None
