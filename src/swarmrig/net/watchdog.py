"""Python nodes that do not return, in a process where nobody else could say so.

A timer interrupts the process once in a while. When that finds the same call of the same node as before, for longer
than is bearable, it raises BlockedError there: the node has ended, by an exception that tells where it was, and the
network goes on. What cannot be interrupted (a loop in C) is at least written to stderr, with all its Python frames.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from swarmrig.net.hosted import CALLS, BlockedError

# It is a thread that writes the frames; a copy of this process would wait for its own for ever, as it has none.
os.register_at_fork(before=faulthandler.cancel_dump_traceback_later)

STEP_S = 0.5
"""How often it looks. Time in which the process did not run (it was stopped) counts as no more than this."""
PATIENCE_S = 30.0


class Watchdog:
    """Looks at what the process is doing."""

    def __init__(self, patience_s: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._call: FrameType | None = None
        self._seen_s = 0.0

    def look(self, _: int, frame: FrameType | None) -> None:
        """The handler of the timer's signal. BlockedError when a node has been at the same call for too long."""
        limit_s = self._patience_s()
        faulthandler.dump_traceback_later(limit_s + 2 * STEP_S)
        call = _node_call(frame)
        self._seen_s = self._seen_s + STEP_S if call is not None and call is self._call else 0.0
        self._call = call
        if frame is not None and self._seen_s >= limit_s:
            self._call = None
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
            raise BlockedError(f"the node has not returned for {limit_s:g} s: it is at {where}")


def _node_call(frame: FrameType | None) -> FrameType | None:
    """The call of a node that the process is in."""
    while frame is not None and frame.f_code not in CALLS:
        frame = frame.f_back
    return frame


@contextmanager
def watching(patience_s: Callable[[], float]) -> Iterator[None]:
    """Watch the nodes of this process, in its main thread. `patience_s` is asked each time."""
    before = signal.signal(signal.SIGALRM, Watchdog(patience_s).look)
    signal.setitimer(signal.ITIMER_REAL, STEP_S, STEP_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
