"""One number for all that happened in a run whose time was virtual."""

from __future__ import annotations

import hashlib
from pathlib import Path

PATTERNS = ("events.jsonl", "net/*.pcapng", "nodes/*/console.log")
"""What is the same in every run of one file and seed, wherever and whenever; no versions, paths or process ids."""


def digest_parts(directory: Path) -> dict[str, str]:
    """SHA-256 by file name, of the files that the digest is made of."""
    files = sorted(path for pattern in PATTERNS for path in directory.glob(pattern))
    return {str(path.relative_to(directory)): _sha256(path) for path in files}


def run_digest(directory: Path) -> str:
    """SHA-256 (hex) over the names and digests of those files."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in digest_parts(directory).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
