"""From the files of a scenario's run to its counters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError
from swarmrig.suites.logs import LastLines, LogError, last_lines, match_lines
from swarmrig.suites.suite import Group, Line, Patterns, Wire
from swarmrig.suites.thresholds import Reading
from swarmrig.suites.values import Value, is_number, parse_pairs, parse_value
from swarmrig.suites.wire_latency import measure

MAX_JSON_BYTES = 16 << 20
Files = Mapping[str, Path | None]
Warn = Callable[[str], object]


def read_groups(groups: Sequence[Group], files: Files, warn: Warn) -> dict[str, Reading]:
    """The counters of every group; `files` are those of the groups' columns, None where there is none.

    What cannot be read counts as absent, and `warn` hears why. A log is read once, however many groups it feeds.
    """
    lines: dict[str, LastLines] = {}
    for column in {group.column for group in groups}:
        markers = [each.reader.marker for each in groups if each.column == column and isinstance(each.reader, Line)]
        lines[column] = _last_lines(files.get(column), markers, warn) if markers else LastLines()
    return {group.name: _read(group, files, lines[group.column], warn) for group in groups}


def _read(group: Group, files: Files, lines: LastLines, warn: Warn) -> Reading:
    reader, path = group.reader, files.get(group.column)
    if isinstance(reader, Line):
        line = lines.lines.get(reader.marker)
        return Reading(absence=f"no {reader.marker} line") if line is None else Reading(parse_pairs(line))
    if path is None:
        return Reading(absence=f"no {group.column}")
    try:
        if isinstance(reader, Wire):
            return _latency(path, files.get(reader.second) if reader.second is not None else None, reader)
        return _matches(path, reader) if isinstance(reader, Patterns) else _numbers(path)
    except LogError as error:
        warn(f"{path}: {error}")
        return Reading(absence=f"{path.name} {error}")


def _last_lines(path: Path | None, markers: Sequence[str], warn: Warn) -> LastLines:
    if path is None:
        return LastLines()
    try:
        found = last_lines(path, markers)
    except LogError as error:
        warn(f"{path}: {error}")
        return LastLines()
    for marker in sorted(found.unfinished):
        warn(f"{path}: the last {marker} line has no end: its last value may be cut")
    return found


def _matches(path: Path, reader: Patterns) -> Reading:
    values: dict[str, Value] = {}
    for name, matches in match_lines(path, reader.patterns).items():
        if not reader.patterns[name].groups:
            values[name] = matches.count
        elif matches.last is not None:
            values[name] = parse_value(matches.last)
    return Reading(values)


def _latency(first: Path, second: Path | None, reader: Wire) -> Reading:
    if reader.second is not None and second is None:
        return Reading(absence=f"no {reader.second}")
    try:
        return Reading(measure(first, second, reader.pairing).as_values())
    except HostError as error:
        raise LogError(error.message) from error


def _numbers(path: Path) -> Reading:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
        if len(data) > MAX_JSON_BYTES:
            raise LogError(f"is larger than {MAX_JSON_BYTES >> 20} MiB")
        found = json.loads(data)
    except FileNotFoundError:
        return Reading(absence=f"no {path.name}")
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LogError(f"is not JSON: {error}") from error
    return Reading(dict(_flat(found, "")))


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    """Numbers below a JSON value; members of a list are called by their `name`, `label` or `id`, else by position."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            names = [item.get(key) for key in ("label", "name", "id")] if isinstance(item, dict) else []
            name = next((name for name in names if isinstance(name, str)), position)
            yield from _flat(item, f"{prefix}.{name}" if prefix else str(name))
    elif is_number(value):
        yield prefix, value
