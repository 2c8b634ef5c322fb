"""Run time in paced time: this machine's clock, which stands while somebody acts on what lives in virtual time."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

from swarmrig.errors import HostError
from swarmrig.model.scenario import ConsoleSeen, Seen
from swarmrig.runtime.clock import HOLD_BACK_NS, LAST, VirtualClock, Waiter
from swarmrig.runtime.sightings import Sighting
from swarmrig.timebase.paced_fabric import PacedFabric


class PacedClock(VirtualClock):
    """Follows the clock of the network, which may have to wait for virtual time."""

    network: PacedFabric | None

    def __init__(self, outside: Collection[str]) -> None:
        """`outside`: the nodes that live by this machine's clock."""
        super().__init__()
        self._outside = outside
        self._standing: dict[int, int] = {}

    async def begin(self) -> None:
        """Return when time has begun, or never will."""
        with suppress(HostError):  # the network's end is told by who waits for it
            await self.paced_network.begun()

    @property
    def paced_network(self) -> PacedFabric:
        assert self.network is not None
        return self.network

    def now_ns(self) -> int:
        """0 before the beginning; exact while time stands for somebody."""
        if self._standing:
            return min(self._standing.values())
        origin_ns = None if self.network is None else self.network.origin_ns
        if origin_ns is not None:
            self.learn(time.monotonic_ns() - origin_ns)
        return self._now_ns

    def complete_ns(self, known_ns: int) -> int:
        """Consoles of nodes outside are heard a little later than they speak."""
        return known_ns - HOLD_BACK_NS

    def waiter(self, *, holds: bool = True) -> Waiter:
        return _PacedWaiter(self, next(self._tokens), holds)

    def last_waiter(self) -> Waiter:
        return _PacedWaiter(self, LAST, False)

    def is_heard_by_network(self, condition: Seen) -> bool:
        """Does the network notice it by itself, at an exact time?"""
        return not (isinstance(condition, ConsoleSeen) and condition.node in self._outside)

    def stand(self, token: int, t_ns: int) -> None:
        """Time stands there for the holder of the token."""
        self._standing[token] = t_ns

    def go_on(self, token: int) -> None:
        """He lets it go."""
        self._standing.pop(token, None)


class _PacedWaiter:
    def __init__(self, clock: PacedClock, token: int, holds: bool) -> None:
        self._clock = clock
        self._token = token
        self._holds = holds

    async def until(self, t_ns: int) -> None:
        self._clock.go_on(self._token)
        await self._act(await self._clock.paced_network.reach(self._token, t_ns))

    async def until_seen(self, sighting: Sighting, after_ns: int) -> int:
        network, token = self._clock.paced_network, self._token
        self._clock.go_on(token)
        if self._clock.is_heard_by_network(sighting.condition):
            now_ns = await network.reach_seen(token, sighting.condition, after_ns)
        else:
            await network.park(token)
            await sighting.seen.wait()
            now_ns = await network.reach(token, sighting.t_ns + after_ns)
        await self._act(now_ns)
        return now_ns

    async def release(self) -> None:
        self._clock.go_on(self._token)
        await self._clock.paced_network.release(self._token)

    async def _act(self, now_ns: int) -> None:
        """It is his turn."""
        if self._holds:
            self._clock.stand(self._token, now_ns)
        else:
            await self._clock.paced_network.park(self._token)
