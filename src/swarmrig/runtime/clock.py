"""Run time: nanoseconds since the network of a run started, on this machine's clock or on the guests' own."""

from __future__ import annotations

import itertools
import time
from typing import Protocol

import anyio

from swarmrig.model.scenario import ConsoleSeen
from swarmrig.model.units import NS_PER_S
from swarmrig.runtime.sightings import Sighting
from swarmrig.timebase.fabric import VirtualFabric

HOLD_BACK_NS = 500_000_000
"""In real time, facts may become known this late."""
LAST = 1 << 40
"""The place of who is told after all others."""


class Waiter(Protocol):
    """Somebody who acts at given times.

    Those who wait for one time are told one after another, in the order in which the waiters were made: the next one
    once the former waits again or is released.
    """

    async def until(self, t_ns: int) -> None:
        """Return when it is `t_ns`. Virtual time then stands still until the next `until`, or `release`."""
        ...

    async def until_seen(self, sighting: Sighting, after_ns: int) -> int:
        """Return so long after something was seen: in virtual time at exactly that time, in real time maybe later.
        Returns that time."""
        ...

    async def release(self) -> None:
        """There is nothing more to wait for."""
        ...


class Clock(Protocol):
    """What time it is in a run."""

    start_ns: int
    """Reading of CLOCK_MONOTONIC when the network started."""

    def now_ns(self) -> int: ...

    def complete_ns(self, known_ns: int) -> int:
        """All facts up to this time are known, when the network has told all that it knew at `known_ns`."""
        ...

    def waiter(self, *, holds: bool = True) -> Waiter:
        """`holds`: in virtual and in paced time, time stands while he acts. In paced time it need not, for somebody who
        touches nothing of virtual time; then this machine's clock is all that he waits for."""
        ...

    def last_waiter(self) -> Waiter:
        """One who is told after all others who wait for the same time. In paced time he holds nobody up."""
        ...


class RealClock:
    """CLOCK_MONOTONIC minus the start; every process of a run shares it, so their times compare."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self._queue = _Queue()

    @classmethod
    def starting_now(cls) -> RealClock:
        return cls(time.monotonic_ns())

    def now_ns(self) -> int:
        return time.monotonic_ns() - self.start_ns

    def complete_ns(self, known_ns: int) -> int:
        return known_ns - HOLD_BACK_NS

    def waiter(self, *, holds: bool = True) -> Waiter:  # noqa: ARG002 - nobody can hold this clock
        return _Sleeper(self, self._queue, self._queue.place())

    def last_waiter(self) -> Waiter:
        return _Sleeper(self, self._queue, LAST)


class _Queue:
    """Sleepers by the time that they wait for, or act at."""

    def __init__(self) -> None:
        self._places = itertools.count()
        self._due: dict[int, int] = {}
        self._moved = anyio.Event()

    def place(self) -> int:
        return next(self._places)

    def enter(self, place: int, t_ns: int) -> None:
        self._due[place] = t_ns
        self._wake()

    def leave(self, place: int) -> None:
        self._due.pop(place, None)
        self._wake()

    async def turn(self, place: int) -> None:
        """Return when nobody with an earlier place is due at the same time."""
        while any(other < place and t_ns == self._due[place] for other, t_ns in self._due.items()):
            await self._moved.wait()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()


class _Sleeper:
    def __init__(self, clock: RealClock, queue: _Queue, place: int) -> None:
        self._clock = clock
        self._queue = queue
        self._place = place

    async def until(self, t_ns: int) -> None:
        self._queue.enter(self._place, t_ns)
        await anyio.sleep(max(0.0, (t_ns - self._clock.now_ns()) / NS_PER_S))
        await self._queue.turn(self._place)

    async def until_seen(self, sighting: Sighting, after_ns: int) -> int:
        self._queue.leave(self._place)
        await sighting.seen.wait()
        await self.until(sighting.t_ns + after_ns)
        return sighting.t_ns + after_ns

    async def release(self) -> None:
        self._queue.leave(self._place)


class VirtualClock:
    """The time that all guests have lived through, as far as the rig has heard."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self.network: VirtualFabric | None = None
        self._now_ns = 0
        self._tokens = itertools.count()

    async def begin(self) -> None:
        """Return when it is known that time has begun. Nobody needs to know."""

    def learn(self, now_ns: int) -> None:
        self._now_ns = max(self._now_ns, now_ns)

    def now_ns(self) -> int:
        return self._now_ns

    def complete_ns(self, known_ns: int) -> int:
        self.learn(known_ns)
        return known_ns - 1

    def waiter(self, *, holds: bool = True) -> Waiter:  # noqa: ARG002 - there is nothing outside
        return Stopper(self, next(self._tokens))

    def last_waiter(self) -> Waiter:
        return Stopper(self, LAST)


class Stopper:
    """A waiter in virtual time."""

    def __init__(self, clock: VirtualClock, token: int) -> None:
        self._clock = clock
        self._token = token

    async def until(self, t_ns: int) -> None:
        assert self._clock.network is not None
        self._clock.learn(await self._clock.network.reach(self._token, t_ns))

    async def until_seen(self, sighting: Sighting, after_ns: int) -> int:
        assert self._clock.network is not None
        now_ns = await self._clock.network.reach_seen(self._token, sighting.condition, after_ns)
        self._clock.learn(now_ns)
        return now_ns

    async def until_said(self, node: str, by_ns: int) -> None:
        """Return REACTION_NS after the node says a further line, at `by_ns` at the latest."""
        assert self._clock.network is not None
        condition = ConsoleSeen(node, "")
        self._clock.learn(await self._clock.network.reach_seen(self._token, condition, by_ns=by_ns))

    async def release(self) -> None:
        assert self._clock.network is not None
        await self._clock.network.release(self._token)
