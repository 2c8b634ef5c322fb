"""Run time: nanoseconds since the network of a run started, on this machine's clock or on the guests' own."""

from __future__ import annotations

import itertools
import time
from typing import Protocol

import anyio

from swarmrig.model.units import NS_PER_S
from swarmrig.timebase.fabric import VirtualFabric

HOLD_BACK_NS = 500_000_000
"""In real time, facts may become known this late."""


class Waiter(Protocol):
    """Somebody who acts at given times."""

    async def until(self, t_ns: int) -> None:
        """Return when it is `t_ns`. Virtual time then stands still until the next `until`, or `release`."""
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

    def waiter(self) -> Waiter: ...


class RealClock:
    """CLOCK_MONOTONIC minus the start; every process of a run shares it, so their times compare."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns

    @classmethod
    def starting_now(cls) -> RealClock:
        return cls(time.monotonic_ns())

    def now_ns(self) -> int:
        return time.monotonic_ns() - self.start_ns

    def complete_ns(self, known_ns: int) -> int:
        return known_ns - HOLD_BACK_NS

    def waiter(self) -> Waiter:
        return _Sleeper(self)


class _Sleeper:
    def __init__(self, clock: RealClock) -> None:
        self._clock = clock

    async def until(self, t_ns: int) -> None:
        await anyio.sleep(max(0.0, (t_ns - self._clock.now_ns()) / NS_PER_S))

    async def release(self) -> None:
        return None


class VirtualClock:
    """The time that all guests have lived through, as far as the rig has heard."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self.network: VirtualFabric | None = None
        self._now_ns = 0
        self._tokens = itertools.count()

    def learn(self, now_ns: int) -> None:
        self._now_ns = max(self._now_ns, now_ns)

    def now_ns(self) -> int:
        return self._now_ns

    def complete_ns(self, known_ns: int) -> int:
        self.learn(known_ns)
        return known_ns - 1

    def waiter(self) -> Waiter:
        return _Stopper(self, next(self._tokens))


class _Stopper:
    def __init__(self, clock: VirtualClock, token: int) -> None:
        self._clock = clock
        self._token = token

    async def until(self, t_ns: int) -> None:
        assert self._clock.network is not None
        self._clock.learn(await self._clock.network.reach(self._token, t_ns))

    async def release(self) -> None:
        assert self._clock.network is not None
        await self._clock.network.release(self._token)
