"""Holds a container's program back until its network interface is there.

The engine makes the network namespace and starts the program in one step. So what it starts is a small program of ours
(gate.c), which waits for a byte and then becomes the container's own program, with the same process id.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError, NodeError

PROGRAM = Path(__file__).parent / f"gate-{platform.machine()}"
IN_CONTAINER = "/.swarmrig/gate"
_GO = "/.swarmrig/go"


def has_gate() -> bool:
    """Is there one for this machine's processors?"""
    return PROGRAM.exists()


class Gate:
    """Shut, until it is told to let the program go; once for each start of the container. Made by `open_gate`."""

    def __init__(self, go: Path, fd: int) -> None:
        self._go = go
        self._fd = fd

    def mounts(self) -> list[dict[str, Any]]:
        """What the container needs of it."""
        places = ((PROGRAM, IN_CONTAINER), (self._go, _GO))
        return [
            {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True} for source, target in places
        ]

    def shut(self) -> None:
        """Also when it was opened for a start that did not take its turn."""
        with suppress(BlockingIOError):
            while os.read(self._fd, 64):
                pass

    def let_go(self) -> None:
        os.write(self._fd, b"g")


@contextmanager
def open_gate(go: Path) -> Iterator[Gate]:
    """A gate that waits at the path, where a FIFO is made. HostError when that cannot be."""
    try:
        os.mkfifo(go)
        go.chmod(0o644)  # for users of the container, whoever they are
        fd = os.open(go, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot make {go}: {error.strerror}") from error
    try:
        yield Gate(go, fd)
    finally:
        os.close(fd)
        go.unlink(missing_ok=True)


def program_of(
    node: str, entrypoint: Sequence[str] | None, command: Sequence[str] | None, image: Mapping[str, Any]
) -> list[str]:
    """What the container is to run, by the engine's own rules: an entry point of ours puts off the image's command.

    NodeError when nobody says what.
    """
    config = image.get("Config") or {}
    first = list(entrypoint if entrypoint is not None else config.get("Entrypoint") or ())
    default = [] if entrypoint is not None else config.get("Cmd") or ()
    words = first + list(command if command is not None else default)
    if not words:
        raise NodeError(node, "neither the image nor the scenario says what to run", hint="give it a `command:`")
    return words
