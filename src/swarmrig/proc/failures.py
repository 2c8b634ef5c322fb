"""What can go wrong with a program, exactly."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from swarmrig.errors import HostError, SwarmrigError


class SpawnError(HostError):
    """A program could not be started; `errno` says why as the kernel put it."""

    def __init__(self, message: str, *, errno: int, hint: str | None = None) -> None:
        self.errno = errno
        super().__init__(message, hint=hint)


class LeftoverError(SwarmrigError):
    """The run ended in order, but something of it was still there and had to be removed."""

    def __init__(self, leftovers: Sequence[str]) -> None:
        self.leftovers = tuple(leftovers)
        super().__init__(
            "left over at the end of the run, and removed: " + "; ".join(leftovers),
            hint="whoever starts a process or makes a link must end it before the run ends",
        )


class GuardianLostError(HostError):
    """The guardian process died; everything that it guarded has been killed."""


def spawn_error(name: str, program: str, cwd: str, argv: Sequence[bytes], number: int, stage: str) -> SpawnError:
    """Say what the errno of a refused spawn means here."""
    start = f"cannot start {name}: "
    if stage == "directory":
        return SpawnError(f"{start}its working directory {cwd}: {os.strerror(number)}", errno=number)
    if stage == "descriptors":
        return SpawnError(f"{start}{os.strerror(number)}", errno=number, hint="raise `ulimit -n`")
    if number == errno.ENOENT and Path(cwd, program).exists():
        message = f"the interpreter or loader that {program} asks for does not exist"
    elif number == errno.ENOENT:
        message = f"there is no program {program}"
    elif number == errno.EACCES:
        message = f"{program} is not executable (its mode, its directory, or a noexec mount)"
    elif number == errno.ENOEXEC:
        message = f"{program} is no program that this machine can run"
    elif number == errno.E2BIG:
        size = sum(map(len, argv)) + len(argv)
        message = f"its {len(argv)} arguments ({size} bytes, the longest {max(map(len, argv))}) are too long"
    else:
        message = f"{program}: {os.strerror(number)}"
    return SpawnError(start + message, errno=number)
