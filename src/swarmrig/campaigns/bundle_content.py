"""Files by what is in them: places that cannot lead astray, inventories of directories."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarmrig.errors import HostError
from swarmrig.nodes.digests import sha256_of

MOST_FILES = 20_000
MOST_BYTES = 16 << 30
LONGEST_PLACE = 1024
SKIPPED = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
"""Directories that are nobody's input."""
_OUTPUT = ("walltimes.jsonl", "campaign.json")
"""What a directory has that the rig itself has written: former runs are nobody's input either."""
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, wherever it is."""

    digest: str
    """SHA-256, hex."""
    size: int
    """Bytes."""
    executable: bool = False


def checked_digest(text: str) -> str:
    """The text, if it is a digest. ValueError when it is none."""
    if not isinstance(text, str) or not _DIGEST.match(text):
        raise ValueError(f"{str(text)[:80]!r} is no SHA-256")
    return text


def checked_place(text: str) -> PurePosixPath:
    """Where a file is in its directory, if that cannot be outside of it. ValueError when it could."""
    parts = text.split("/") if isinstance(text, str) else []
    wrong = not parts or len(text) > LONGEST_PLACE or any(part in ("", ".", "..") for part in parts)
    if wrong or any(ord(character) < 32 or character == "\x7f" for character in text):
        raise ValueError(f"{str(text)[:200]!r} is no place in a directory")
    return PurePosixPath(text)


def checked_inventory(files: Mapping[str, Content]) -> Mapping[str, Content]:
    """The inventory, if all places, digests and sums in it are such. ValueError when not."""
    if len(files) > MOST_FILES:
        raise ValueError(f"{len(files)} files, {MOST_FILES} at most expected")
    for place, content in files.items():
        checked_place(place)
        checked_digest(content.digest)
        if content.size < 0:
            raise ValueError(f"{place}: {content.size} bytes")
    if sum(content.size for content in files.values()) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    return files


def content_of(path: Path) -> Content:
    """What is in a file. HostError when it cannot be read."""
    try:
        found = path.stat()
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from error
    return Content(sha256_of(path), found.st_size, bool(found.st_mode & stat.S_IXUSR))


def next_data(path: Path, offset: int, most: int) -> tuple[int, bytes]:
    """The next bytes of a file that are not in a hole, `most` at most, and where they begin; at its end, if there are
    none: flash images are holes for the most part. OSError when it cannot be read."""
    with path.open("rb") as file:
        try:
            begin = file.seek(offset, os.SEEK_DATA)
            end = file.seek(begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return file.seek(0, os.SEEK_END), b""
        file.seek(begin)
        return begin, file.read(min(most, end - begin))


def inventory(directory: Path, *, suffixes: frozenset[str] | None = None, whole: bool = False) -> dict[str, Content]:
    """Place to content of every file below; of those with such a suffix only, if any are given: then of those in
    the directory itself, and in packages of Python's in it.

    Links to files inside are followed. HostError for one that leads elsewhere, for a link to a directory, and for
    more than can be shipped. `whole`: nothing is left out, and links are (as in a run directory, where there are
    none that matter).
    """
    found: dict[str, Content] = {}
    total = 0
    for path in _files(directory, whole, packages=suffixes is not None):
        if suffixes is not None and path.suffix not in suffixes:
            continue
        content = content_of(path)
        total += content.size
        found[checked_name(path, directory)] = content
        if len(found) > MOST_FILES or total > MOST_BYTES:
            raise HostError(
                f"{directory} has more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB, too much to be shipped",
                hint="name a smaller directory (working_dir, context, source), or the files themselves",
            )
    return found


def checked_name(path: Path, directory: Path) -> str:
    """The place of a file that is there. HostError when other machines could not have it under that name."""
    try:
        return str(checked_place(path.relative_to(directory).as_posix()))
    except ValueError as error:
        raise HostError(f"{directory}: {error}", hint="rename the file") from error


def _files(directory: Path, whole: bool, packages: bool) -> Iterator[Path]:
    inside = directory.resolve()
    for at, names, files in os.walk(directory, onerror=_unreadable):
        here = Path(at)
        names[:] = sorted(name for name in names if whole or not _is_left_out(here / name, packages))
        for path in (here / name for name in sorted([*files, *(name for name in names if (here / name).is_symlink())])):
            if path.is_symlink():
                if whole:
                    continue
                _refuse_stray(path, inside)
            if path.is_file():
                yield path


def _is_left_out(path: Path, packages: bool) -> bool:
    if packages and not (path / "__init__.py").is_file():
        return True
    return path.name in SKIPPED or any((path / name).exists() for name in _OUTPUT)


def _refuse_stray(link: Path, inside: Path) -> None:
    target = link.resolve()
    if not target.is_relative_to(inside):
        raise HostError(f"{link} leads out of {inside}, to {target}", hint="ship what it leads to in its place")
    if target.is_dir():
        raise HostError(
            f"{link} is a link to a directory, which is not shipped", hint="ship the directory in its place"
        )


def _unreadable(error: OSError) -> None:
    raise HostError(f"{error.filename} cannot be read: {error.strerror}") from error
