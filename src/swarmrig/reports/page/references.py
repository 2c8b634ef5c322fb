"""Every pointer to evidence that a run's results hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any


def console_lines(results: Mapping[str, Any] | None) -> dict[str, set[int]]:
    """By node, the lines of its console that are evidence."""
    found: dict[str, set[int]] = {}
    for item in _evidence(results):
        node = node_of(str(item.get("file", "")))
        if node is not None and isinstance(item.get("line"), int):
            found.setdefault(node, set()).add(item["line"])
    return found


def capture_frames(results: Mapping[str, Any] | None) -> dict[str, set[int]]:
    """By link, the frames of its capture that are evidence."""
    found: dict[str, set[int]] = {}
    for item in _evidence(results):
        link = link_of(str(item.get("file", "")))
        if link is not None and isinstance(item.get("frame"), int):
            found.setdefault(link, set()).add(item["frame"])
    return found


def node_of(file: str) -> str | None:
    """The node whose console this is."""
    parts = PurePosixPath(file).parts
    return parts[1] if len(parts) == 3 and parts[0] == "nodes" and parts[2] == "console.log" else None


def link_of(file: str) -> str | None:
    """The link whose capture this is."""
    parts = PurePosixPath(file).parts
    return parts[1].removesuffix(".pcapng") if len(parts) == 2 and file.startswith("net/") else None


def _evidence(results: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    for judged in (*(results or {}).get("checks", ()), *(results or {}).get("faults", ())):
        for item in judged.get("evidence", ()):
            if isinstance(item, dict):
                yield item
