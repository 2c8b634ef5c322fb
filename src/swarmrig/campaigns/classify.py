"""What an execution is: judged, a failure of the infrastructure, refused, or interrupted. Nothing else decides what is
tried again.

What a node itself brings about is judged, however bad it is. What the machine, an emulator or the rig brings about
says nothing of the swarm, and is tried again.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmrig.campaigns.task import Ending, Execution
from swarmrig.model.verdict import EXIT_INTERRUPTED

_OWN_END = re.compile(r"node (?P<node>\S+) ended by itself: (?P<how>exit \d+|\S+)")
_PROGRAMS = ("process", "line", "container", "python")
"""Kinds of nodes that are what they run: a signal that ends them is mostly their own doing. An emulator's is not its
guest's."""
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
_REFUSALS = ("ScenarioError", "UsageError", "BadParameter", "NoSuchOption", "MissingExtraError")


@dataclass(frozen=True, slots=True)
class Classified:
    """An execution, judged as such."""

    ending: Ending
    reason: str = ""
    """One line; empty when judged."""
    results: Mapping[str, Any] | None = None
    """results.json of a run that has one, whatever the ending."""


def classify(execution: Execution) -> Classified:
    """What kind of ending it is, and why."""
    document = next((each for each in reversed(execution.documents) if each.get("kind") == "result"), None)
    results = document.get("results") if document is not None else None
    if execution.lost is not None:
        return Classified(Ending.INFRASTRUCTURE, _line(execution.lost), results)
    if execution.no_space:
        return Classified(Ending.INFRASTRUCTURE, "a disk is full", results)
    if results is not None:
        return _of_results(results)
    return _without_results(execution)


def _of_results(results: Mapping[str, Any]) -> Classified:
    if results["run"]["interrupted"]:
        return Classified(Ending.INTERRUPTED, "interrupted", results)
    kinds = {node["id"]: node.get("kind") for node in results["nodes"]}
    foreign = [failure for failure in results["failures"] if not _is_of_node(failure, kinds)]
    if foreign:
        return Classified(Ending.INFRASTRUCTURE, _line(foreign[0]), results)
    return Classified(Ending.JUDGED, "", results)


def _is_of_node(failure: str, kinds: Mapping[str, str | None]) -> bool:
    """Is it what a node did, and no failure of its emulator or of the rig?"""
    found = _OWN_END.match(failure)
    if found is None:
        return False
    how = found["how"]
    return how.startswith("exit ") or (kinds.get(found["node"]) in _PROGRAMS and how not in _FROM_OUTSIDE)


def _without_results(execution: Execution) -> Classified:
    errors = [error for each in execution.documents if each.get("kind") == "error" for error in each["errors"]]
    if any(error["type"] in ("KeyboardInterrupt", "Abort") for error in errors):
        return Classified(Ending.INTERRUPTED, "interrupted")
    if errors:
        refused = all(error["type"] in _REFUSALS for error in errors)
        ending = Ending.REFUSED if refused else Ending.INFRASTRUCTURE
        return Classified(ending, _line("; ".join(str(error["message"]) for error in errors)))
    return _without_documents(execution)


def _without_documents(execution: Execution) -> Classified:
    code, words = execution.exit_code, _line(execution.last_words.splitlines()[-1] if execution.last_words else "")
    said = f": {words}" if words else ""
    if code == EXIT_INTERRUPTED:
        return Classified(Ending.INTERRUPTED, "interrupted")
    if code is None:
        return Classified(Ending.INFRASTRUCTURE, f"it did not come to an end{said}")
    if code < 0:
        return Classified(Ending.INFRASTRUCTURE, f"the process was ended by {_signal_name(-code)}{said}")
    return Classified(Ending.INFRASTRUCTURE, f"the process ended without a result (exit {code}){said}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line(text: str, most: int = 500) -> str:
    """On one line, and no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
