"""What two runs concluded and counted, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from swarmrig.replay.comparison import Change

_NAMES = ("label", "id", "name")
"""By what the items of a list are known, in this order."""
_OWN = ("run.id", "run.source", "run.dialect", "run.started_at", "generator.version")
"""What is each run's own."""
_OUTCOMES = ("verdict", "checks[].outcome", "faults[].proved", "nodes[].exit_status")
"""What can be compared of runs in real time, whose counts and times are never the same."""


def result_changes(left: Mapping[str, Any], right: Mapping[str, Any], *, outcomes_only: bool) -> tuple[Change, ...]:
    """What differs between two documents of results.json, in their order."""
    ours, theirs = dict(_flat("", left)), dict(_flat("", right))
    return tuple(
        Change(path, ours.get(path), theirs.get(path))
        for path in dict.fromkeys([*ours, *theirs])
        if ours.get(path) != theirs.get(path) and path not in _OWN and (not outcomes_only or _is_outcome(path))
    )


def _is_outcome(path: str) -> bool:
    start, bracket, rest = path.partition("[")
    return f"{start}{'[]' if bracket else ''}{rest.rpartition(']')[2]}" in _OUTCOMES


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every single value with its path: `checks[no_crashes].outcome`."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), each)
    elif isinstance(value, list):
        names: Counter[str] = Counter()
        for number, each in enumerate(value):
            name = _name(each, number)
            names[name] += 1
            yield from _flat(f"{path}[{name}{f'#{names[name]}' if names[name] > 1 else ''}]", each)
    else:
        yield path, value


def _name(item: Any, number: int) -> str:
    if isinstance(item, Mapping):
        return str(next((item[name] for name in _NAMES if isinstance(item.get(name), str)), number))
    return str(number)
