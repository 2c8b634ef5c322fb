"""The commit of the git repository that a directory is part of, read from its files: nothing of it is executed."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_REFERENCES = 5
"""A reference may name another; git follows as many."""
_LARGEST = 16 << 20


def commit_of(place: Path) -> str | None:
    """The commit that is checked out where a directory is; None when that is no repository, or one without a commit.

    What is not committed is not seen: the inputs of the runs tell what they were made of.
    Formats: gitrepository-layout(5), packed-refs as git-pack-refs(1) writes them.
    """
    try:
        found = _repository(place.resolve())
        return None if found is None else _resolved(*found, "HEAD")
    except (OSError, ValueError):  # unreadable, or no repository that we know how to read
        return None


def _repository(directory: Path) -> tuple[Path, Path] | None:
    """The repository's own directory, and the one that it shares with its other work trees."""
    for place in (directory, *directory.parents):
        git = place / ".git"
        if git.is_file():  # a work tree, or a submodule
            git = place / _text(git).removeprefix("gitdir:").strip()
        if (git / "HEAD").is_file():
            shared = git / "commondir"
            return git, (git / _text(shared).strip() if shared.is_file() else git)
    return None


def _resolved(git: Path, shared: Path, name: str) -> str | None:
    for _ in range(_MOST_REFERENCES):
        said = _said(git, shared, name)
        if said is None or _COMMIT.fullmatch(said):
            return said
        if not said.startswith("ref: refs/") or ".." in said:
            return None
        name = said.removeprefix("ref: ")
    return None


def _said(git: Path, shared: Path, name: str) -> str | None:
    """What a reference says: a commit, or another reference."""
    for place in (git, shared):
        if (place / name).is_file():
            return _text(place / name).strip()
    packed = shared / "packed-refs"
    if packed.is_file():
        for line in _text(packed).splitlines():
            commit, _, of = line.partition(" ")
            if of == name and _COMMIT.fullmatch(commit):
                return commit
    return None


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        return stream.read(_LARGEST)
