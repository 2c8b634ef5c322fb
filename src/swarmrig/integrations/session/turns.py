"""Whether somebody who acts at some time has acted."""

from __future__ import annotations

import anyio

from swarmrig.runtime.clock import Clock, Waiter
from swarmrig.runtime.sightings import Sighting


class Turns:
    """A waiter (see runtime.clock) that tells whether its holder has done what there was to do by now."""

    def __init__(self, waiter: Waiter, clock: Clock) -> None:
        self.moved = anyio.Event()
        """Set when the holder, who was told that it is time, waits for a later one, or for nothing any more."""
        self._waiter = waiter
        self._clock = clock

    @property
    def had_turn(self) -> bool:
        return self.moved.is_set()

    async def until(self, t_ns: int) -> None:
        if t_ns > self._clock.now_ns():
            self.moved.set()
        await self._waiter.until(t_ns)

    async def until_seen(self, sighting: Sighting, after_ns: int) -> int:
        self.moved.set()
        return await self._waiter.until_seen(sighting, after_ns)

    async def release(self) -> None:
        await self._waiter.release()
        self.moved.set()
