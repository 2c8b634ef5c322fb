"""A node that runs in QEMU: what it can do in any time, and what it can do in real time."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

import anyio

from swarmrig.api.nodes import ExitStatus, HasFlash, LaunchContext, NodePlan
from swarmrig.errors import NodeError
from swarmrig.nodes.console import Console
from swarmrig.nodes.emulator.memory import GuestMemory
from swarmrig.nodes.emulator.process import Emulator

HALTED = {"shutdown", "internal-error", "guest-panicked", "io-error", "watchdog"}
"""QMP run states that only a reset followed by `cont` leaves."""
RESET_ROUNDS = 100
"""Each asks once around the emulator's main loop; two are enough."""

HUB_WARNING = "is not connected to host network"
"""QEMU says so of every guest in virtual time, whose network is the plugin's."""


class EmulatorNode:
    """CanKill. It has one emulator, or one after another (`WithPower`)."""

    def __init__(self, plan: NodePlan, context: LaunchContext) -> None:
        self.plan = plan
        self.spec = plan.spec
        self._context = context
        self._emulator: Emulator | None = None
        self._life = AsyncExitStack()
        self._switched = anyio.Event()
        self._last_words = ""

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """The node is on, until it is switched off; when this ends, so does whatever emulator it has then."""
        await self._begin(self._context.port_fd)
        async with AsyncExitStack() as stack:
            stack.push_async_exit(lambda *details: self._life.__aexit__(*details))
            yield

    @property
    def pid(self) -> int:
        return self.emulator.process.pid

    @property
    def emulator(self) -> Emulator:
        """The running one. NodeError when the power is off."""
        if self._emulator is None:
            raise NodeError(self.spec.id, "its power is off")
        return self._emulator

    async def wait_exited(self) -> ExitStatus:
        """How the emulator ended by itself.

        Exit 0 is no sign of health: QEMU ends so after a guest's power-off and, under -no-reboot, after a panic.
        A signal (SIGSEGV, SIGABRT) is a failure of the emulator.
        """
        while True:
            emulator, switched = self._emulator, self._switched
            if emulator is not None:
                status = await emulator.process.wait()
                if emulator is self._emulator:
                    return status
            await switched.wait()

    def last_words(self) -> str:
        if self._emulator is None:
            return self._last_words
        lines = self._emulator.process.last_words().splitlines()
        return "\n".join(line for line in lines if not line.endswith(HUB_WARNING))

    async def kill(self) -> None:
        """End the emulator without warning, as a power cut does; returns when it has ended."""
        process = self.emulator.process
        if process.exit_status is not None:
            raise NodeError(self.spec.id, f"cannot be killed: it has ended before ({process.exit_status})")
        process.send_signal(signal.SIGKILL)
        await process.wait()

    def _starting(self, port_fd: int | None) -> AbstractAsyncContextManager[Emulator]:
        """An emulator at the other end of the port, which is closed here."""
        raise NotImplementedError

    async def _begin(self, port_fd: int | None) -> None:
        self._life = AsyncExitStack()
        self._emulator = await self._life.enter_async_context(self._starting(port_fd))
        self._switched.set()
        self._switched = anyio.Event()


class WithPower(EmulatorNode):
    """CanPowerCycle: every emulator has the same flash, and the same place in the network."""

    async def power_off(self) -> None:
        """Pull the plug; see api.CanPowerCycle."""
        emulator = self.emulator
        status = emulator.process.exit_status
        if status is not None:
            raise NodeError(self.spec.id, f"cannot be switched off: it has ended before ({status})")
        self._last_words = self.last_words()
        self._emulator = None
        with anyio.CancelScope(shield=True):
            emulator.process.send_signal(signal.SIGKILL)
            await emulator.process.wait()
            await self._life.aclose()

    async def power_on(self) -> None:
        """Start again; see api.CanPowerCycle."""
        if self._emulator is not None:
            raise NodeError(self.spec.id, "its power is on")
        await self._begin(await self._context.network.renew_port(self.spec.id))


class RealTimeNode(EmulatorNode):
    """HasConsole, CanStallConsole, CanPause, CanStarve, CanReset beside what every emulator can; in real time."""

    halts_on_reboot = False
    """The emulator was told to stop when the guest reboots."""

    @property
    def _console(self) -> Console:
        console = self.emulator.console
        assert console is not None
        return console

    async def wait_exited(self) -> ExitStatus:
        """As of any emulator; its last console output has been passed on before."""
        status = await super().wait_exited()
        self._console.drain()
        return status

    async def write_console(self, data: bytes) -> None:
        await self._console.write(data)

    def stall_console(self) -> None:
        self._console.stall()

    def unstall_console(self) -> None:
        self._console.unstall()

    def take_cpu(self) -> None:
        """Stop the emulator's process: the guest's clocks follow this machine's, and go on."""
        self.emulator.process.send_signal(signal.SIGSTOP)

    def give_cpu(self) -> None:
        self.emulator.process.send_signal(signal.SIGCONT)

    async def pause(self) -> None:
        """Stop the virtual CPUs and the virtual clock."""
        await self.emulator.monitor.execute("stop")

    async def resume(self) -> None:
        await self.emulator.monitor.execute("cont")

    async def reset(self) -> None:
        """Press the reset button. A paused guest stays paused; one that has halted runs again."""
        monitor = self.emulator.monitor
        halted = await self._has_halted()
        if self.halts_on_reboot:
            await monitor.execute("set-action", reboot="reset")
        await monitor.execute("system_reset")
        if self.halts_on_reboot:
            await monitor.execute("set-action", reboot="shutdown")
        if halted:
            # The reset happens in the emulator's main loop, after the command has been answered.
            for _ in range(RESET_ROUNDS):
                if not await self._has_halted():
                    break
            await monitor.execute("cont")

    async def _has_halted(self) -> bool:
        return (await self.emulator.monitor.execute("query-status"))["status"] in HALTED


class WithMemory(EmulatorNode):
    """HasMemory, in real time; the guest runs on meanwhile."""

    @property
    def _memory(self) -> GuestMemory:
        memory = self.emulator.memory
        assert memory is not None
        return memory

    async def read_memory(self, address: int, size: int) -> bytes:
        return await self._memory.read(address, size)

    async def write_memory(self, address: int, data: bytes) -> None:
        await self._memory.write(address, data)

    async def flip_memory(self, address: int, mask: bytes) -> tuple[bytes, bytes]:
        """Not at one instant: the guest may change the bytes in between. NodeError for flash, which would take a write
        for a command."""
        if self._is_flash(address, len(mask)):
            raise NodeError(self.spec.id, "its flash cannot be flipped while it runs: change it without power")
        before = await self._memory.read(address, len(mask))
        await self._memory.write(address, bytes(old ^ flip for old, flip in zip(before, mask, strict=True)))
        return before, await self._memory.read(address, len(mask))

    def _is_flash(self, address: int, size: int) -> bool:
        if not isinstance(self, HasFlash) or self.flash_base is None:
            return False
        return self.flash_base < address + size and address < self.flash_base + self.flash_path.stat().st_size


class WithNmi(EmulatorNode):
    """HasNmi, in real time."""

    async def nmi(self) -> None:
        """Raise a non-maskable interrupt, on all processors. NodeError where the machine takes none."""
        await self.emulator.monitor.execute("inject-nmi")


NodeType = TypeVar("NodeType", bound=EmulatorNode)


def with_abilities(base: type[NodeType], *more: type[EmulatorNode]) -> type[NodeType]:
    """The class of nodes that can what `base` can, and more: a capability that a node lacks must not be there."""
    return type(base.__name__, (*more, base), {}) if more else base
