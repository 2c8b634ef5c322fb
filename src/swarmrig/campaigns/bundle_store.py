"""A private store of files by digest, shared by all workers of a user on a machine, and what is made from it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from swarmrig.campaigns.bundle_content import Content, checked_digest, checked_place
from swarmrig.errors import HostError
from swarmrig.flash.image import copy_image
from swarmrig.proc import private_directory

LIMIT_BYTES = 8 << 30
STALE_S = 3600.0
"""A part that has not grown for so long was given up."""
_READ_ONLY, _PRIVATE, _PROGRAM = 0o400, 0o600, 0o700


class LackingError(Exception):
    """Digests that the store does not have."""

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = tuple(digests)
        super().__init__(", ".join(self.digests))


class Store:
    """Files named by their SHA-256, which nobody but this user can read. Several processes may use one at a time."""

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._blobs = private_directory(root / "content")
        self._parts = private_directory(root / "parts")
        self._limit_bytes = limit_bytes

    def path(self, digest: str) -> Path:
        """Where it is, if it is."""
        return self._blobs / checked_digest(digest)

    def lacking(self, contents: Iterable[Content]) -> tuple[str, ...]:
        """Digests of those that are not here whole, each once; those that are will not be dropped soon."""
        wanted = {content.digest: content for content in contents}
        return tuple(digest for digest, content in wanted.items() if not self._touch(digest, content.size))

    def _touch(self, digest: str, size: int) -> bool:
        path = self.path(digest)
        try:
            os.utime(path)
            return path.stat().st_size == size
        except OSError:
            return False

    def begin(self) -> str:
        """A part that grows; its name."""
        name = secrets.token_hex(8)
        with _writing(self._parts):
            os.close(os.open(self._parts / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE))
        return name

    def write(self, part: str, offset: int, data: bytes) -> None:
        """What is left out, is a hole. HostError when it cannot be written; the part is gone then."""
        path = self._parts / str(checked_place(part))
        try:
            with _writing(path), path.open("r+b") as file:
                file.seek(offset)
                file.write(data)
        except HostError:
            path.unlink(missing_ok=True)
            raise

    def finish(self, part: str, content: Content) -> None:
        """Take a part in, if it is what it should be. HostError when it is not: then it is gone."""
        path = self._parts / str(checked_place(part))
        target = self.path(content.digest)
        try:
            with _writing(path):
                os.truncate(path, content.size)
                found = _sha256(path)
                if found != content.digest:
                    raise HostError(f"what came as {content.digest[:16]}… is {found[:16]}…: damaged on its way")
                path.chmod(_READ_ONLY)
                path.replace(target)
        finally:
            path.unlink(missing_ok=True)
        self.prune()

    def prune(self) -> None:
        """Drop what was not used for the longest time until the rest fits, and parts that nobody finishes."""
        for path in _entries(self._parts):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()
        known = []
        for path in _entries(self._blobs):
            with suppress(OSError):
                found = path.stat()
                known.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in known)
        newest = max(known, default=None)
        for entry in sorted(known):
            if total <= self._limit_bytes or entry is newest:
                return
            entry[2].unlink(missing_ok=True)
            total -= entry[1]

    def furnish(self, directory: Path, files: Mapping[str, Content]) -> None:
        """Put the files at their places below `directory`, which is this process's own and has none of them.

        Everything is read through on the way: what is damaged counts as not there. A file alone in its directory is
        shared with the store, and read-only; of a tree of files, which programs may work in, each is a copy.
        Raises LackingError, and HostError when there is no room.
        """
        damaged = [content.digest for content in files.values() if not self._is_sound(content)]
        if damaged:
            raise LackingError(dict.fromkeys(damaged))
        for place, content in files.items():
            path = directory / checked_place(place)
            alone = len(checked_place(place).parts) <= 2 and not content.executable
            with _writing(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._put(self.path(content.digest), path, content, alone)

    def _put(self, blob: Path, path: Path, content: Content, shared: bool) -> None:
        try:
            if shared:
                path.hardlink_to(blob)
                return
            copy_image(blob, path)
            path.chmod(_PROGRAM if content.executable else _PRIVATE)
        except FileNotFoundError:  # dropped in between
            raise LackingError([content.digest]) from None

    def _is_sound(self, content: Content) -> bool:
        path = self.path(content.digest)
        with suppress(OSError):
            if _sha256(path) == content.digest:
                return True
            path.unlink(missing_ok=True)
        return False


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What fails inside is told as HostError, with the place."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, or choose another place with SWARMRIG_CACHE_DIR" if full else None
        raise HostError(f"cannot write {path}: {error.strerror}", hint=hint) from error


def _entries(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as found:
        yield from (Path(entry.path) for entry in found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
