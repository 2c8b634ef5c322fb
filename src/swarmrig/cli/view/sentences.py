"""Events in words, for terminals."""

from __future__ import annotations

from swarmrig.cli.output import harmless
from swarmrig.model.units import NS_PER_S
from swarmrig.reports import sentences as reports
from swarmrig.runtime.events import Event

_SOURCE_WIDTH = 12


def sentence(event: Event) -> str | None:
    """The event as a sentence without time and source; None for what is too frequent or told otherwise."""
    said = reports.sentence(event)
    return None if said is None else harmless(said)


def line(event: Event) -> str | None:
    """The event as a line of a log: run time, source, sentence."""
    said = sentence(event)
    return None if said is None else timed(event.t_ns, event.source, said)


def timed(t_ns: int, source: str, said: str) -> str:
    """A line of a log; `said` must be harmless already."""
    return f"[{t_ns / NS_PER_S:9.3f} s] {harmless(source):<{_SOURCE_WIDTH}} {said}"
