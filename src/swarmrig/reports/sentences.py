"""Events in words: one sentence for what a person who looks at a run wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.model.units import NS_PER_S
from swarmrig.runtime.events import Event


def sentence(event: Event) -> str | None:
    """The event as a sentence without time and source; None for what is too frequent or told otherwise. It holds what
    nodes say, as they said it."""
    say = _SENTENCES.get(event.kind)
    return None if say is None else say(event.data)


def _started(data: Mapping[str, Any]) -> str:
    return f"started (pid {data['pid']})" if "pid" in data else "started"


def _booted(data: Mapping[str, Any]) -> str:
    return f"booted in {data.get('boot_ns', 0) / NS_PER_S:.3f} s"


def _exited(data: Mapping[str, Any]) -> str:
    words = str(data.get("stderr", "")).strip().splitlines()
    return f"ended by itself: {data.get('status', 'unknown')}" + (f": {words[-1]}" if words else "")


def _fault(data: Mapping[str, Any]) -> str:
    """With the frame or the line that proves it, or whatever else the fault says."""
    told = {key: value for key, value in data.items() if key not in ("id", "kind", "stage", "t_ns")}
    if {"capture", "frame"} <= told.keys():
        details = f"{told['capture']}#{told['frame']}"
    elif {"console", "line"} <= told.keys():
        details = f"{told['console']}:{told['line']}" + (f": {told['text']}" if "text" in told else "")
    else:
        details = ", ".join(f"{key} {value}" for key, value in told.items())
    return f"{data.get('id')}: {data.get('stage')}" + (f" ({details})" if details else "")


def _stopping(data: Mapping[str, Any]) -> str:
    return "interrupted: stopping, then judging what there is" if data.get("interrupted") else "stopping"


_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "preparing": lambda data: f"{data.get('doing')}, {data.get('waited_s', 0):.0f} s so far",
    "run.started": lambda data: f"started: {data.get('name')}",
    "node.started": _started,
    "node.booted": _booted,
    "node.ready": lambda _: "ready",
    "node.exited": _exited,
    "fault": _fault,
    "run.paused": lambda data: f"frozen, for a look: {', '.join(map(str, data.get('because', [])))}",
    "run.released": lambda _: "let go",
    "run.stopping": _stopping,
    "warning": lambda data: f"warning: {data.get('message')}",
    "failure": lambda data: f"FAILURE: {data.get('message')}",
}
