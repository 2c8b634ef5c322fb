"""What is shown while a run goes on: a live picture on a terminal, lines elsewhere, JSON for machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from swarmrig.runtime.observer import Observer, Programme


@contextmanager
def open_view(programme: Programme, *, as_json: bool, watched: bool = False) -> Iterator[Observer]:
    """The view that suits stdout, for the time of a run. `watched`: another process leads it."""
    if as_json:
        from swarmrig.cli.view.lines import JsonLines

        yield JsonLines()
    elif is_lively():
        from swarmrig.cli.view.live import open_live_view

        with open_live_view(programme, watched=watched) as view:
            yield view
    else:
        from swarmrig.cli.view.lines import PlainLines

        yield PlainLines()


def is_lively() -> bool:
    """A picture that redraws itself suits a terminal that can move its cursor and show its signs, and nobody's log."""
    able = os.environ.get("TERM", "dumb") != "dumb" and sys.stdout.encoding.lower() in ("utf-8", "utf8")
    return sys.stdout.isatty() and able and not os.environ.get("CI")
