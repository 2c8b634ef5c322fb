"""What a machine is made of, as far as it may change results: told by each worker, compared by the campaigner."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio.to_thread

import swarmrig
from swarmrig import __version__
from swarmrig.errors import HostError
from swarmrig.nodes.digests import sha256_of
from swarmrig.nodes.qemu.architectures import PREFIX
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.timebase.plugin import libraries

SHOWN = 12
"""Characters of a digest, for people."""
_EMULATOR = re.compile(PREFIX + r"[a-z0-9_]+\Z")
_DEADLINE_S = 20.0


def version_here() -> str:
    """Of the rig. In every version of it."""
    return __version__


async def survey(emulators: Sequence[str]) -> dict[str, str]:
    """Name to version or digest, of these emulators among others; those of another name than QEMU's are left out."""
    found = {
        "python": platform.python_version(),
        "processor": platform.machine(),
        "distributed": _version("distributed"),
        "code of the rig": await anyio.to_thread.run_sync(code_digest),
    }
    found |= {f"lockstep plugin (API {api})": _digest(path) for api, path in libraries().items()}
    async with open_spawner(RunScope.passing()) as spawner:
        for name in sorted(set(emulators)):
            if _EMULATOR.match(name):
                found[name] = await _emulator(spawner, name)
    return found


def code_digest() -> str:
    """Over the package's Python files and firmware: one version may have been installed from several states."""
    root = Path(swarmrig.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".elf"))
    lines = [f"{path.relative_to(root)} {sha256_of(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:SHOWN]


async def _emulator(spawner: Spawner, name: str) -> str:
    path = shutil.which(name)
    if path is None:
        return "not there"
    try:
        said = await spawner.run([path, "--version"], deadline_s=_DEADLINE_S)
        line = said.stdout.decode(errors="replace").partition("\n")[0].strip()
    except HostError as error:
        line = error.message
    shown = re.search(r"version (\S+)", line)
    return f"{shown[1] if shown else line[:80]} ({await anyio.to_thread.run_sync(_digest, Path(path))})"


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)[:SHOWN]
    except HostError:
        return "unreadable"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not there"
