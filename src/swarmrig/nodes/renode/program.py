"""Which Renode there is on this host: a package, a portable archive, or assemblies for .NET and Mono."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.errors import HostError
from swarmrig.proc import RunScope, Spawner, open_spawner

OLDEST = (1, 15)
"""The first whose monitor is known."""
DEADLINE_S = 20.0
HINT = "install Renode 1.15 or newer from https://renode.io, or name it with `renode:` or the variable RENODE"
_VERSION = re.compile(r"Renode\D{0,20}?(\d+\.\d+(?:\.\d+)*)")
_RUNTIMES = {".dll": "dotnet", ".exe": "mono"}


@dataclass(frozen=True, slots=True)
class Program:
    """A Renode that can be executed."""

    path: Path
    command: tuple[str, ...]
    kind: str
    """package, portable, dotnet or mono."""


def find_program(wanted: Path | None = None) -> Program:
    """The one that is wanted, or else the first of those that are here. HostError when there is none."""
    if wanted is None:
        found = next(candidates(), None)
        if found is None:
            raise HostError("Renode is not installed", hint=HINT)
        return _program(found)
    path = wanted if wanted.parent != Path() else _in_path(wanted.name)
    if path is None or not path.is_file():
        raise HostError(f"there is no Renode at {wanted}", hint=HINT)
    return _program(path.absolute())


def candidates() -> Iterator[Path]:
    """What the variable RENODE names, what PATH has, what packages and portable archives put in place."""
    named = os.environ.get("RENODE")
    if named:
        yield Path(named).absolute()
    if (found := _in_path("renode")) is not None:
        yield found
    for place in (Path("/opt"), Path.home()):
        for directory in ("renode", "renode*portable*", "renode_*"):
            for name in ("renode", "bin/Renode.dll", "bin/Renode.exe"):
                yield from (path for path in sorted(place.glob(f"{directory}/{name}"), reverse=True) if path.is_file())


def _in_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _program(path: Path) -> Program:
    runtime = _RUNTIMES.get(path.suffix)
    if runtime is not None:
        if shutil.which(runtime) is None:
            raise HostError(f"{path} needs {runtime}, which is not installed", hint=f"apt install {runtime}")
        return Program(path, (runtime, str(path)), runtime)
    if not os.access(path, os.X_OK):
        raise HostError(f"{path} may not be executed", hint=f"chmod +x {path}")
    home = path.resolve().parent
    kind = "portable" if "portable" in str(home) or (home / "platforms").is_dir() else "package"
    return Program(path, (str(path),), kind)


async def version_of(spawner: Spawner, program: Program, *, deadline_s: float = DEADLINE_S) -> tuple[int, ...]:
    """What it says of itself. HostError when it says nothing, or is too old."""
    completed = await spawner.run([*program.command, "--version"], deadline_s=deadline_s, name="renode")
    text = (completed.stdout + completed.stderr).decode("utf-8", "replace")
    found = _VERSION.search(text)
    if found is None:
        raise HostError(f"{program.path} does not say its version, but {text.strip()[:200]!r}", hint=HINT)
    version = tuple(map(int, found[1].split(".")))
    if version < OLDEST:
        raise HostError(f"{program.path} is version {found[1]}; 1.15 or newer is needed", hint=HINT)
    return version


class Versions:
    """Asks each program once: the answer holds until its file changes."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._known: dict[tuple[Path, int, int], tuple[int, ...]] = {}

    async def of(self, program: Program) -> str:
        """As `version_of`, as text."""
        status = program.path.stat()
        key = (program.path, status.st_mtime_ns, status.st_size)
        async with self._turn:
            if key not in self._known:
                async with open_spawner(RunScope.passing()) as spawner:
                    self._known[key] = await version_of(spawner, program)
            return ".".join(map(str, self._known[key]))
