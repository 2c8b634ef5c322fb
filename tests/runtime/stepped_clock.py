"""A clock for tests of schedules: time stands until everybody has said where it is to stop next, as in virtual time."""

from __future__ import annotations

import itertools
from functools import partial

import anyio

from swarmrig.model.scenario import REACTION_NS
from swarmrig.timebase.stops import NEVER, Stops


class SteppedClock:
    """Feeds facts, too: a fact is observed when time has reached it."""

    start_ns = 0

    def __init__(self, holders, facts=(), end_ns=10**12):
        self.stops = Stops()
        self.stops.expect(holders + 1, end_ns)
        self.facts = sorted(facts, key=lambda fact: fact.t_ns)
        self.observe = None
        self._tokens = itertools.count()
        self._now_ns = 0
        self._sightings = {}
        self._ended = anyio.Event()

    def now_ns(self):
        return self._now_ns

    def waiter(self, *, holds=True):
        return _Waiter(self, next(self._tokens))

    async def run(self, schedule):
        """Live until time comes to its end; then what is still under way is cancelled."""
        self.observe = schedule.observe
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(schedule.live)
            await anyio.wait_all_tasks_blocked()
            self.stops.reach(next(self._tokens), self.stops.end_ns, lambda _: self._ended.set())
            while not self._ended.is_set():
                self._step()
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        for fact in self.facts:
            schedule.observe(fact)
        schedule.conclude()

    def _step(self):
        if not self.stops.known:
            raise AssertionError("nobody lets time go on")
        barrier = self.stops.barrier_ns
        while self.facts and self.facts[0].t_ns < barrier:
            fact = self.facts.pop(0)
            self._now_ns = fact.t_ns
            self.observe(fact)
            self._move_those_who_see()
            barrier = self.stops.barrier_ns
        self._now_ns = max(self._now_ns, barrier)
        self.stops.tell(barrier)

    def _move_those_who_see(self):
        for token, (sighting, after_ns) in list(self._sightings.items()):
            if sighting.seen.is_set():
                del self._sightings[token]
                self.stops.move(token, sighting.t_ns + after_ns)


class _Waiter:
    def __init__(self, clock, token):
        self.clock = clock
        self.token = token

    async def until(self, t_ns):
        await self._stand(max(t_ns, self.clock.now_ns()))

    async def until_seen(self, sighting, after_ns):
        assert after_ns >= REACTION_NS
        self.clock._sightings[self.token] = (sighting, after_ns)
        await self._stand(NEVER)
        return sighting.t_ns + after_ns

    async def release(self):
        self.clock.stops.release(self.token)

    async def _stand(self, t_ns):
        told = anyio.Event()
        self.clock.stops.reach(self.token, t_ns, partial(lambda event, _: event.set(), told))
        await told.wait()
