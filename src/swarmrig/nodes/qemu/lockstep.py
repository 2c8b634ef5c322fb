"""A node in virtual time: what is done to it happens at exactly the time at which time stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import anyio
import anyio.to_thread

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import NodeError
from swarmrig.nodes.commanded import CommandedNode
from swarmrig.nodes.emulator.node import WithPower
from swarmrig.nodes.emulator.process import Emulator
from swarmrig.nodes.qemu.emulator import in_virtual_time
from swarmrig.nodes.qemu.provisioning import keep_flash
from swarmrig.timebase.fabric import VirtualFabric


class LockstepNode(CommandedNode, WithPower):
    """HasConsole, CanPause, CanReset, CanPowerCycle, HasMemory beside what every emulator can, through the plugin."""

    _lives = 0

    def _starting(self, port_fd: int | None) -> AbstractAsyncContextManager[Emulator]:
        context = self._context if self._lives == 1 else replace(self._context, snapshot=None)
        return in_virtual_time(self.plan, context, port_fd)

    async def _begin(self, port_fd: int | None) -> None:
        self._lives += 1
        if self._lives > 1:
            await anyio.to_thread.run_sync(keep_flash, self._context, self._lives)
        await super()._begin(port_fd)

    @property
    def is_on(self) -> bool:
        return self._emulator is not None

    # --- its end -----------------------------------------------------------------------------------------------

    async def wait_exited(self) -> ExitStatus:
        """As of any emulator; `ended_ns` and the last words then say where that was in virtual time."""
        status = await super().wait_exited()
        await self._note_end()
        return status

    def last_words(self) -> str:
        """The emulator's, and where the guest was last seen."""
        words = super().last_words()
        if self._end is None:
            return words
        place = f"last seen at {self._end['t_ns'] / 1e9:.9f} s of virtual time, program counter {self._end['pc']:#x}"
        if not self._end["parted"] and self.emulator.process.exit_status == ExitStatus(0, None):
            place += "; its lockstep channel was cut"
        return f"{words}\n{place}".lstrip()

    async def kill(self) -> None:
        if not isinstance(self._context.network, VirtualFabric):
            await super().kill()
            return
        async with self._leaving():
            if self.emulator.process.exit_status is None:
                self._end = await self._network.whereabouts(self.spec.id)
            await super().kill()

    async def power_off(self) -> None:
        async with self._leaving():
            await super().power_off()

    async def power_on(self) -> None:
        async with self._joining():
            await super().power_on()

    # --- outside of virtual time -------------------------------------------------------------------------------

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Emulator]:
        """Its machine stands outside of virtual time: the monitor answers, debuggers and snapshots work. The guest
        does not notice. NodeError when it cannot be held."""
        emulator = self.emulator
        try:
            async with self._network.hold(self.spec.id):
                yield emulator
        except ValueError as error:
            raise NodeError(self.spec.id, f"hold: {error}") from error


class WithLockstepNmi(LockstepNode):
    """HasNmi."""

    async def nmi(self) -> None:
        """Raise a non-maskable interrupt."""
        await self._command("nmi")
