"""What nodes are made of, by digest."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from swarmrig.errors import HostError


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's content; read again only when the file has changed."""
    try:
        status = path.stat()
        return _sha256(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=256)
def _sha256(path: Path, _modified_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
