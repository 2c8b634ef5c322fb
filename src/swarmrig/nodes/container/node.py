"""A container as a node of a run."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio

from swarmrig.api.nodes import ExitStatus, NodePlan
from swarmrig.errors import NodeError
from swarmrig.nodes.container.engine import ANSWER_S, asking
from swarmrig.nodes.container.life import Life, Place, living


class ContainerNode:
    """HasConsole, CanStallConsole, CanPause, CanReset, CanKill, CanPowerCycle.

    Its files outlive a loss of power, and go with the run.
    """

    def __init__(self, plan: NodePlan, place: Place) -> None:
        self.plan = plan
        self.spec = plan.spec
        self._place = place
        self._stack = AsyncExitStack()
        self._life: Life | None = None
        self._switched = anyio.Event()
        self._last_words = ""

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """The container runs, until it is switched off; when this ends, so does whatever life it has then."""
        await self._begin()
        try:
            yield
        finally:
            await self._stack.aclose()

    @property
    def life(self) -> Life:
        """The present one. NodeError when the power is off."""
        if self._life is None:
            raise NodeError(self.spec.id, "its power is off")
        return self._life

    @property
    def namespace(self) -> int | None:
        """The descriptor of its network namespace; None while it is not joined to the fabric."""
        return self._life.namespace if self._life is not None else None

    async def wait_exited(self) -> ExitStatus:
        """How it ended by itself. HostError when its engine is gone, NodeError when it does not become healthy."""
        while True:
            life, switched = self._life, self._switched
            if life is not None:
                await life.unfit()
                if life is self._life:
                    return await life.ended()
            await switched.wait()

    def last_words(self) -> str:
        return self._last_words if self._life is None else self._life.last_words()

    async def write_console(self, data: bytes) -> None:
        """Its standard input."""
        await self.life.console.write(data)

    def stall_console(self) -> None:
        self.life.console.stall()

    def unstall_console(self) -> None:
        self.life.console.unstall()

    async def pause(self) -> None:
        """Freeze all of its processes."""
        with asking(self.spec.id, self._place.engine, "it cannot be paused"), anyio.fail_after(ANSWER_S):
            await self._place.container.pause()

    async def resume(self) -> None:
        with asking(self.spec.id, self._place.engine, "it cannot be resumed"), anyio.fail_after(ANSWER_S):
            await self._place.container.unpause()

    async def kill(self) -> None:
        """End it without warning; returns when it has ended."""
        self._require_running("killed")
        await self.life.send_signal(signal.SIGKILL)
        await self.life.ended()

    async def reset(self) -> None:
        """Kill it, and start it again with the files that it has."""
        await self.power_off()
        await self.power_on()

    async def power_off(self) -> None:
        """Pull the plug; see api.CanPowerCycle."""
        self._require_running("switched off")
        life = self.life
        with anyio.CancelScope(shield=True):
            self._life = None
            with suppress(NodeError):  # it was just about to end
                await life.send_signal(signal.SIGKILL)
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
            self._life = await stack.enter_async_context(living(self._place))
            self._stack = stack.pop_all()
        self._switched.set()
        self._switched = anyio.Event()
