"""Directories nobody else can look into or lead astray."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swarmrig.errors import HostError

HINT = "choose another place with SWARMRIG_STATE_DIR, or repair its owner and mode"


def private_directory(path: Path) -> Path:
    """Make `path` (and its parents) a directory of mode 0700 that belongs to this user, or find it so.

    A symbolic link, another kind of file or another owner is refused with HostError; a mode that is too
    open is tightened. Returns `path`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            _inspect(path)
    except OSError as error:
        raise HostError(f"cannot make the private directory {path}: {error.strerror}", hint=HINT) from error
    return path


def _inspect(path: Path) -> None:
    # Through a descriptor: what is looked at is what is changed.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except NotADirectoryError as error:  # also what O_DIRECTORY|O_NOFOLLOW says of a symbolic link
        kind = "a symbolic link" if path.is_symlink() else "not a directory"
        raise HostError(f"{path} should be a private directory, but it is {kind}", hint=HINT) from error
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise HostError(
                f"{path} should be a private directory of user {os.geteuid()}, but user {found.st_uid} owns it",
                hint=HINT,
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(fd, 0o700)
    finally:
        os.close(fd)
