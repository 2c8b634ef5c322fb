"""The run directory: `<output>/<name>-<time>-<id>/`, private to the user."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run; `id` is unique and safe in names of files, links and containers."""

    id: str
    path: Path

    @property
    def net(self) -> Path:
        return self.path / "net"

    def node(self, node_id: str) -> Path:
        return self.path / "nodes" / node_id


def create_run_directory(output: Path, name: str, nodes: tuple[str, ...]) -> RunDirectory:
    """Make the directory tree of a scenario's run. Raises HostError when the place is not writable or full."""
    return new_directory(output, name, ("net", "nodes", *(f"nodes/{node}" for node in nodes)))


def new_directory(output: Path, name: str, below: tuple[str, ...]) -> RunDirectory:
    """Make `<output>/<name>-<time>-<id>` and what belongs below it, mode 0700. Raises HostError."""
    run_id = secrets.token_hex(4)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = (output / f"{name}-{stamp}-{run_id}").absolute()
    try:
        output.mkdir(parents=True, exist_ok=True)
        for directory in (path, *(path / each for each in below)):
            directory.mkdir(mode=0o700)
    except OSError as error:
        raise HostError(
            f"cannot write the run directory {path}: {error.strerror}",
            hint="choose another place with --output-dir",
        ) from error
    return RunDirectory(run_id, path)


def now_text() -> str:
    """The time as reports have it: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextmanager
def held(file: Path, what: str) -> Iterator[None]:
    """Hold what a file stands for, so that nobody else goes on with it at the same time. Raises HostError."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot read {file}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostError(f"{what} is running already", hint="wait for its end") from None
        yield
    finally:
        os.close(fd)
