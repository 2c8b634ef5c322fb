"""From a schedule that breaks a check to the simplest that breaks it in the same way.

Faults go first (delta debugging: halves, then smaller parts), then the seed becomes the scenario's, what lasts lasts
shorter, parameters and times become simpler; again, until nothing changes. In the end no fault can be left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from swarmrig.search.schedule import Schedule
from swarmrig.search.space import Space

FirstBreaking = Callable[[Sequence[Schedule]], Awaitable[int | None]]
"""Which is the first of these that breaks the check? None: none of them."""
MOST_TIMES = 8
"""Simpler times that are tried for a fault."""


async def shrunk(
    schedule: Schedule, space: Space, first_breaking: FirstBreaking, on_better: Callable[[Schedule], None]
) -> Schedule:
    """The smallest that is found; `on_better` is told every step on the way."""

    async def better(candidates: Iterator[Schedule]) -> bool:
        nonlocal schedule
        valid = [candidate for candidate in candidates if candidate.strikes and space.is_valid(candidate)]
        index = await first_breaking(valid)
        if index is None:
            return False
        schedule = valid[index]
        on_better(schedule)
        return True

    changed = True
    while changed:
        changed = False
        for simpler in (fewer, home, shorter, plainer, rounder):
            while await better(simpler(schedule, space)):
                changed = True
    return schedule


def fewer(schedule: Schedule, space: Space) -> Iterator[Schedule]:  # noqa: ARG001 - as the others
    """Without half of the faults, a quarter, ... and each alone."""
    count = len(schedule.strikes)
    size = count // 2
    while size >= 1:
        for start in range(0, count, size):
            if size < count:
                yield schedule.without(range(start, min(start + size, count)))
        size //= 2


def home(schedule: Schedule, space: Space) -> Iterator[Schedule]:
    """With the scenario's own seed."""
    if schedule.seed != space.scenario.seed:
        yield replace(schedule, seed=space.scenario.seed)


def shorter(schedule: Schedule, space: Space) -> Iterator[Schedule]:
    """With one that lasts less long, the shortest first."""
    for index, strike in enumerate(schedule.strikes):
        for for_ns in space.grid.lasts_ns:
            if strike.for_ns is not None and for_ns < strike.for_ns:
                yield schedule.with_strike(index, replace(strike, for_ns=for_ns))


def plainer(schedule: Schedule, space: Space) -> Iterator[Schedule]:
    """With one that has a simpler parameter."""
    for index, strike in enumerate(schedule.strikes):
        for params in space.kind(strike.kind).simpler(strike.params):
            yield schedule.with_strike(index, replace(strike, params=params))


def rounder(schedule: Schedule, space: Space) -> Iterator[Schedule]:
    """With one at a simpler time; what is over by the end stays so."""
    for index, strike in enumerate(schedule.strikes):
        for at_ns in space.grid.simpler_times(strike.at_ns)[:MOST_TIMES]:
            if strike.for_ns is None or at_ns + strike.for_ns < space.grid.end_ns:
                yield schedule.with_strike(index, replace(strike, at_ns=at_ns))
