"""A guest in virtual time whose power can go at a store of its own, between two instructions."""

from __future__ import annotations

import signal
from contextlib import suppress

import anyio

from swarmrig.api.nodes import ExitStatus, LaunchContext, NodePlan
from swarmrig.errors import HostError
from swarmrig.nodes.qemu.lockstep import LockstepNode


class WithPowerCut(LockstepNode):
    """CanCutPower."""

    def __init__(self, plan: NodePlan, context: LaunchContext) -> None:
        super().__init__(plan, context)
        self._armed = False
        self._turn = anyio.Lock()

    async def cut_power_at_store(self, address: int, size: int, store: int) -> None:
        """See api.CanCutPower."""
        await self._command("cut", address=address, size=size, data=store.to_bytes(4, "big"))
        self._armed = True

    async def call_off_cut(self) -> int | None:
        """See api.CanCutPower."""
        where = await self._network.whereabouts(self.spec.id)
        if where["parted"]:
            await self._go_dark()
            return int(where["t_ns"])
        await self._command("cut", data=bytes(4))
        self._armed = False
        return None

    async def wait_exited(self) -> ExitStatus:
        """As of any guest; but one whose power went as it should is switched off, and has not ended."""
        while True:
            status = await super().wait_exited()
            if self._armed and status.signal == signal.SIGKILL:
                await self._go_dark()
            elif self._emulator is not None and self._emulator.process.exit_status is not None:
                return status

    async def _go_dark(self) -> None:
        """Become a node without power; whoever hears of the end first does it, and the other one waits for that."""
        with anyio.CancelScope(shield=True):
            async with self._turn:
                emulator = self._emulator
                if emulator is None or not self._armed:
                    return
                await emulator.process.wait()
                self._last_words = super(LockstepNode, self).last_words()
                self._emulator, self._end, self._armed = None, None, False
                await self._life.aclose()
                with suppress(HostError):
                    await self._network.detach(self.spec.id)
