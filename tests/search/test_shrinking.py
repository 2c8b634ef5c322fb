"""Shrinking ends with the smallest that breaks the check; on a space of real faults, with made-up verdicts."""

import pytest

from swarmrig.search.schedule import Strike, scheduled
from swarmrig.search.shrink import shrunk

S = 1_000_000_000
pytestmark = pytest.mark.anyio


def first_that(breaks):
    async def first(candidates):
        return next((index for index, candidate in enumerate(candidates) if breaks(candidate)), None)

    return first


def cut(at_s, for_s, node="s"):
    return Strike("cut", int(at_s * S), int(for_s * S), {"between": ["c", node]})


def reset(at_s, node="s"):
    return Strike("reset", int(at_s * S), None, {"node": node})


def ordered(schedule):
    """Broken by a cut of two seconds or more, and a reset of s after its end."""
    cuts = [s for s in schedule.strikes if s.kind == "cut" and s.for_ns >= 2 * S]
    resets = [s for s in schedule.strikes if s.kind == "reset" and s.params["node"] == "s"]
    return any(r.at_ns > c.at_ns + c.for_ns for c in cuts for r in resets)


async def test_two_faults_in_their_order_are_left(pair_space):
    space = pair_space(seeds=(0, 5))
    steps = []
    first = scheduled([reset(0.5, "c"), cut(1.5, 3), reset(2, "s"), reset(7.5), reset(8.5, "c")], 5)
    found = await shrunk(first, space, first_that(ordered), steps.append)
    assert str(found) == "1s cut (between c/s) for 2s; 4s reset (node s)"
    assert found.seed == space.scenario.seed
    assert steps[-1] == found
    assert all(not ordered(found.without([index])) for index in range(2))


async def test_parameters_become_simpler(pair_space):
    space = pair_space(kinds=("degrade", "reset"))
    params = {"between": ["c", "s"], "latency": "50ms", "jitter": "40ms", "one_way": True}
    first = scheduled([Strike("degrade", 3 * S, S, params)], 0)
    found = await shrunk(first, space, first_that(lambda s: s.strikes[0].kind == "degrade"), lambda _: None)
    (strike,) = found.strikes
    assert strike.params == {"between": ["c", "s"], "loss": 0.5, "one_way": False}
    assert (strike.at_ns, strike.for_ns) == (S, space.grid.lasts_ns[0])


async def test_what_needs_all_of_them_stays(pair_space):
    space = pair_space()
    first = scheduled([reset(1), reset(2, "c"), reset(3)], 0)
    found = await shrunk(first, space, first_that(lambda s: len(s.strikes) == 3), lambda _: None)
    assert len(found.strikes) == 3


async def test_invalid_schedules_are_not_tried(pair_space):
    space = pair_space()
    asked = []

    async def first(candidates):
        asked.extend(candidates)
        return

    schedule = scheduled([cut(1, 2), cut(4, 2)], 0)
    assert await shrunk(schedule, space, first, lambda _: None) == schedule
    assert asked and all(space.is_valid(candidate) for candidate in asked)
