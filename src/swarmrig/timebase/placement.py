"""Which cores coordinator and guests run on. What they do does not depend on it.

Guests and coordinator take turns. To wake somebody who sleeps on another core costs more than most guests need for a
turn, above all in a virtual machine, which interrupts between its processors leave. So as long as turns are short, all
of them share one core, and the rig, which judges meanwhile, has the others. Guests with long turns are worth a core
each, and so are many that have something to do at once: then everybody may run anywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

REVIEW_S = 0.25
SPREAD_ABOVE_S = 1e-3
"""Processor time of a guest's turn from which guests are spread over all cores."""
GATHER_BELOW_S = 150e-6
SPREAD_ABOVE = 8
"""Guests that on average have something to do at once, from which all cores are needed."""
GATHER_BELOW = 6
CROWDED = 0.35
"""Share of our core that others have before we look for another one."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Look(NamedTuple):
    """Sums since the machine, or we, began. Times in s."""

    at_s: float
    busy_s: dict[int, float]
    """By core, whoever it was."""
    guests_s: float
    own_s: float
    turns: int
    rounds: int
    at_work: int


class Placement:
    """Begins with everybody on the core that has had least to do since this was made."""

    def __init__(self, cores: Collection[int] | None = None) -> None:
        """`cores`: those to choose from; default: where this process may run."""
        self._cores = sorted(os.sched_getaffinity(0) if cores is None else cores)
        self._pids: list[int] = []
        self._core: int | None = None
        """None: anywhere."""
        self._last = self._look(0, 0, 0)

    def add(self, pid: int) -> None:
        """A guest's emulator has come."""
        if self._core is None and not self._pids:
            self._core = self._idlest(self._shares(self._look(0, 0, 0)))
            _pin(os.getpid(), self._allowed)
        self._pids.append(pid)
        _pin(pid, self._allowed)

    def afresh(self) -> Placement:
        """For the copy of a coordinator, which has no guests yet."""
        return Placement(self._cores)

    def remove(self, pid: int) -> None:
        """It has gone."""
        with suppress(ValueError):
            self._pids.remove(pid)

    def review(self, turns: int, rounds: int, at_work: int) -> None:
        """Think it over; cheap when called often. Up to now guests have had so many turns, and in so many rounds the
        sum of those that had something to do was `at_work`."""
        if len(self._cores) < 2 or time.monotonic() - self._last.at_s < REVIEW_S:
            return
        look = self._look(turns, rounds, at_work)
        if turns > self._last.turns:
            core = self._choose(look)
            if core != self._core:
                self._core = core
                for pid in (os.getpid(), *self._pids):
                    _pin(pid, self._allowed)
        self._last = look

    def _choose(self, look: Look) -> int | None:
        last, shares = self._last, self._shares(look)
        turn_s = (look.guests_s - last.guests_s) / (look.turns - last.turns)
        crowd = (look.at_work - last.at_work) / max(look.rounds - last.rounds, 1)
        if self._core is None:
            return self._idlest(shares) if turn_s < GATHER_BELOW_S and crowd < GATHER_BELOW else None
        if turn_s > SPREAD_ABOVE_S or crowd > SPREAD_ABOVE:
            return None
        ours = (look.guests_s + look.own_s - last.guests_s - last.own_s) / (look.at_s - last.at_s)
        others = shares.get(self._core, 0.0) - ours
        idlest = self._idlest(shares)
        return idlest if others > CROWDED and shares.get(idlest, 0.0) < others else self._core

    @property
    def _allowed(self) -> Collection[int]:
        return self._cores if self._core is None else (self._core,)

    def _shares(self, look: Look) -> dict[int, float]:
        """How busy each core has been, 0 to 1."""
        elapsed_s = max(look.at_s - self._last.at_s, 1 / _TICKS)
        return {core: (busy - self._last.busy_s.get(core, 0.0)) / elapsed_s for core, busy in look.busy_s.items()}

    def _idlest(self, shares: dict[int, float]) -> int:
        return min(self._cores, key=lambda core: shares.get(core, 0.0))

    def _look(self, turns: int, rounds: int, at_work: int) -> Look:
        guests_s = sum(map(_cpu_s, self._pids))
        return Look(time.monotonic(), dict(_busy_s()), guests_s, time.process_time(), turns, rounds, at_work)


def _busy_s() -> Iterator[tuple[int, float]]:
    """See proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal in ticks."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:8]]
            yield int(name[3:]), (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def _cpu_s(pid: int) -> float:
    """See proc(5), /proc/pid/stat: utime and stime, the 14th and 15th field."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pin(pid: int, cores: Collection[int]) -> None:
    """All threads that a process has now; those to come inherit it."""
    with suppress(OSError):  # it, or one of them, has just ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)
