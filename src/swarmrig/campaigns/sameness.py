"""The same run gives the same bytes wherever it is made, or it is said which of its inputs was another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from swarmrig.campaigns.results import Difference
from swarmrig.campaigns.task import TaskResult

EXACT = "exact"


def differences(results: Iterable[TaskResult]) -> tuple[Difference, ...]:
    """One for each key whose runs of tier `exact` have more than one digest."""
    by_key: dict[str, list[TaskResult]] = defaultdict(list)
    for result in results:
        if result.tier == EXACT and result.digest is not None:
            by_key[result.key].append(result)
    return tuple(
        _difference(key, found) for key, found in by_key.items() if len({result.digest for result in found}) > 1
    )


def _difference(key: str, results: list[TaskResult]) -> Difference:
    digests = _grouped((result.digest or "", result.task) for result in results)
    inputs = differing_inputs({result.task: result.inputs for result in results})
    return Difference(key, tuple(result.task for result in results), digests, inputs, _message(digests, inputs))


def differing_inputs(inputs: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Task -> its inputs to input -> value -> tasks, of those inputs only that are not the same for all of them. Where
    a file lies is no input: its digest is."""
    names = dict.fromkeys(name for each in inputs.values() for name in each)
    found = {name: _grouped((each.get(name, "none"), task) for task, each in inputs.items()) for name in names}
    return {name: values for name, values in found.items() if len(values) > 1 and not _is_path(values)}


def _is_path(values: Iterable[str]) -> bool:
    return all(value.startswith("/") for value in values)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for value, task in pairs:
        found[value].append(task)
    return {value: tuple(tasks) for value, tasks in found.items()}


def _message(digests: Mapping[str, tuple[str, ...]], inputs: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    runs = " and ".join(f"{tasks[0]} ({digest[:12]})" for digest, tasks in list(digests.items())[:2])
    head = f"{runs} should be the same to the byte"
    if not inputs:
        return f"{head}: no input that is known of differs, so this is a defect of the rig or of a node"
    told = [f"{name} ({' and '.join(value[:12] for value in list(values)[:2])})" for name, values in inputs.items()]
    more = f", and {len(told) - 4} more" if len(told) > 4 else ""
    return f"{head}; what differs: {', '.join(told[:4])}{more}"
