"""Nodes that have one life after another: what they can do, whatever it is that lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Generic, Protocol, TypeVar

import anyio

from swarmrig.api.nodes import ExitStatus, NodePlan
from swarmrig.errors import NodeError
from swarmrig.nodes.console import Console


class Life(Protocol):
    """From a start to the end that follows."""

    @property
    def has_ended(self) -> bool: ...

    async def unfit(self) -> None:
        """Return when it has ended. NodeError as soon as it is found unable to go on."""
        ...

    async def ended(self) -> ExitStatus:
        """How it ended; all that it said has been passed on then. HostError when nobody can know."""
        ...

    async def kill(self) -> None:
        """SIGKILL, for all of it. Nothing happens when it has just ended."""
        ...

    def last_words(self) -> str: ...


class ConsoleLife(Life, Protocol):
    console: Console


LifeType = TypeVar("LifeType", bound=Life)
ConsoleLifeType = TypeVar("ConsoleLifeType", bound=ConsoleLife)


class PoweredNode(Generic[LifeType]):
    """CanKill, CanPowerCycle."""

    def __init__(self, plan: NodePlan) -> None:
        self.plan = plan
        self.spec = plan.spec
        self._stack = AsyncExitStack()
        self._life: LifeType | None = None
        self._switched = anyio.Event()
        self._last_words = ""

    def _living(self) -> AbstractAsyncContextManager[LifeType]:
        """A new life, ended when the context is."""
        raise NotImplementedError

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """It runs, until it is switched off; when this ends, so does whatever life it has then."""
        await self._begin()
        try:
            yield
        finally:
            await self._stack.aclose()

    @property
    def life(self) -> LifeType:
        """The present one. NodeError when the power is off."""
        if self._life is None:
            raise NodeError(self.spec.id, "its power is off")
        return self._life

    async def wait_exited(self) -> ExitStatus:
        """How it ended by itself. NodeError or HostError when it is found unable to go on."""
        while True:
            life, switched = self._life, self._switched
            if life is not None:
                await life.unfit()
                if life is self._life:
                    return await life.ended()
            await switched.wait()

    def last_words(self) -> str:
        return self._last_words if self._life is None else self._life.last_words()

    async def kill(self) -> None:
        """End it without warning; returns when it has ended."""
        self._require_running("killed")
        await self.life.kill()
        await self.life.ended()

    async def power_off(self) -> None:
        """Pull the plug; see api.CanPowerCycle."""
        self._require_running("switched off")
        life = self.life
        with anyio.CancelScope(shield=True):
            self._life = None
            await life.kill()
            await life.ended()
            self._last_words = life.last_words()
            await self._stack.aclose()

    async def power_on(self) -> None:
        """Start again; see api.CanPowerCycle."""
        if self._life is not None:
            raise NodeError(self.spec.id, "its power is on")
        await self._begin()

    def _require_running(self, what: str) -> None:
        if self.life.has_ended:
            raise NodeError(self.spec.id, f"cannot be {what}: it has ended before")

    async def _begin(self) -> None:
        async with AsyncExitStack() as stack:
            self._life = await stack.enter_async_context(self._living())
            self._stack = stack.pop_all()
        self._switched.set()
        self._switched = anyio.Event()


class LivingNode(PoweredNode[ConsoleLifeType]):
    """HasConsole, CanStallConsole, CanReset beside what every one can that has lives."""

    async def write_console(self, data: bytes) -> None:
        """Its standard input."""
        await self.life.console.write(data)

    def stall_console(self) -> None:
        self.life.console.stall()

    def unstall_console(self) -> None:
        self.life.console.unstall()

    async def reset(self) -> None:
        """Kill it, and start it again with the files that it has."""
        await self.power_off()
        await self.power_on()
