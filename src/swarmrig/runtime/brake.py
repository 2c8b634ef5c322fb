"""A swarm that stands still where something has failed, so that somebody can look at it."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import anyio

from swarmrig.api.nodes import CanPause
from swarmrig.errors import SwarmrigError
from swarmrig.model.scenario import TimeMode
from swarmrig.model.verdict import Outcome
from swarmrig.runtime.events import Event
from swarmrig.runtime.waiting import first_of
from swarmrig.timebase.fabric import VirtualFabric

if TYPE_CHECKING:
    from swarmrig.runtime.live import LiveRun

PAUSED, RELEASED = "run.paused", "run.released"
"""Kinds of events that only observers are told: what is looked at is the same run as what is not."""
_FAILING = (Outcome.FAIL, Outcome.FATAL)


class Brake:
    """Freezes a swarm at each new failure of a check or a node, until `release`.

    In virtual time the whole swarm stands still at one instant, and goes on from there as if nothing had been. In real
    time every node that can be paused is; the rest of the world goes on, so the run ends when it is released.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._released: anyio.Event | None = None
        self._ends_run = False

    def release(self) -> bool:
        """Let it go on; False when it does not stand still."""
        if self._released is None:
            return False
        self._released.set()
        return True

    async def look(self, live: LiveRun, *, final: bool = False) -> bool:
        """Freeze the swarm if something new has failed; `final`: also for what only the end of the run will decide.
        Returns whether the run is over by that."""
        why = [reason for reason in self._reasons(live, final=final) if reason not in self._known]
        if why and not live.interrupt.is_set():
            self._known.update(why)
            await self._freeze(live, why)
        return self._ends_run

    def _reasons(self, live: LiveRun, *, final: bool) -> list[str]:
        checks = live.recorder.foresee(final=final)
        failed = [label for label, judgement in checks.items() if judgement and judgement.counted in _FAILING]
        return [*failed, *live.recorder.failures]

    async def _freeze(self, live: LiveRun, why: list[str]) -> None:
        self._released = anyio.Event()
        async with AsyncExitStack() as stack:
            await self._stand_still(live, stack)
            live.paused_ns = live.clock.now_ns()
            said = Event(live.paused_ns, "rig", PAUSED, {"because": why})
            live.observer.on_event(said)
            await first_of(self._released, live.interrupt)
            live.observer.on_event(Event(live.paused_ns, "rig", RELEASED, {}))
        self._released = None

    async def _stand_still(self, live: LiveRun, stack: AsyncExitStack) -> None:
        """In paced time both kinds of nodes are frozen."""
        if isinstance(live.network, VirtualFabric):
            await stack.enter_async_context(live.network.standing())
        if live.time is TimeMode.VIRTUAL:
            return
        self._ends_run = True
        for node in live.fleet.nodes.values():
            if isinstance(node, CanPause):
                with suppress(SwarmrigError):  # it may have ended, or be off
                    await node.pause()
                    stack.push_async_callback(_resumed, node)


async def _resumed(node: CanPause) -> None:
    with suppress(SwarmrigError):
        await node.resume()
