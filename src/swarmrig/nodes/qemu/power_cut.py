"""A guest in virtual time whose power can go at a store of its own, between two instructions."""

from __future__ import annotations

import signal
from contextlib import suppress

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError
from swarmrig.nodes.qemu.lockstep import LockstepNode


class WithPowerCut(LockstepNode):
    """CanCutPower."""

    _armed = False

    async def cut_power_at_store(self, address: int, size: int, store: int) -> None:
        """See api.CanCutPower."""
        await self._command("cut", address=address, size=size, data=store.to_bytes(4, "big"))
        self._armed = True

    async def call_off_cut(self) -> int | None:
        """See api.CanCutPower."""
        where = await self._network.whereabouts(self.spec.id)
        if where["parted"]:
            if self._emulator is not None:
                await self._emulator.process.wait()
                await self._go_dark()
            return int(where["t_ns"])
        await self._command("cut", data=bytes(4))
        self._armed = False
        return None

    async def wait_exited(self) -> ExitStatus:
        """As of any guest; but one whose power went as it should is switched off, and has not ended."""
        while True:
            status = await super().wait_exited()
            if not self._armed or status.signal != signal.SIGKILL:
                return status
            await self._go_dark()

    async def _go_dark(self) -> None:
        if self._emulator is None:
            return
        self._armed = False
        self._last_words = super(LockstepNode, self).last_words()
        self._emulator, self._end = None, None
        with anyio.CancelScope(shield=True):
            await self._life.aclose()
            with suppress(HostError):
                await self._network.detach(self.spec.id)
