"""A running QEMU guest."""

from __future__ import annotations

import signal

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.console import Console
from swarmrig.nodes.qemu.memory import GuestMemory
from swarmrig.nodes.qemu.monitor import Monitor
from swarmrig.proc import Process

HALTED = {"shutdown", "internal-error", "guest-panicked", "io-error", "watchdog"}
"""QMP run states that only a reset followed by `cont` leaves."""
RESET_ROUNDS = 100
"""Each asks once around the emulator's main loop; two are enough."""

HUB_WARNING = "is not connected to host network"
"""QEMU says so of every guest in virtual time, whose network is the plugin's."""


class EmulatorNode:
    """CanKill: all that a guest has whose console, network and time belong to the lockstep plugin."""

    def __init__(self, spec: NodeSpec, process: Process) -> None:
        self.spec = spec
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait_exited(self) -> ExitStatus:
        """How the emulator ended by itself.

        Exit 0 is no sign of health: QEMU ends so after a guest's power-off and, under -no-reboot, after a panic.
        A signal (SIGSEGV, SIGABRT) is a failure of the emulator.
        """
        return await self._process.wait()

    def last_words(self) -> str:
        lines = self._process.last_words().splitlines()
        return "\n".join(line for line in lines if not line.endswith(HUB_WARNING))

    async def kill(self) -> None:
        """End the emulator without warning, as a power cut does; returns when it has ended."""
        if self._process.exit_status is not None:
            raise NodeError(self.spec.id, f"cannot be killed: it has ended before ({self._process.exit_status})")
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


class QemuNode(EmulatorNode):
    """HasConsole, CanPause, CanReset, CanKill."""

    def __init__(
        self, spec: NodeSpec, process: Process, console: Console, monitor: Monitor, *, halts_on_reboot: bool = False
    ) -> None:
        super().__init__(spec, process)
        self._console = console
        self._monitor = monitor
        self._halts_on_reboot = halts_on_reboot

    async def wait_exited(self) -> ExitStatus:
        """As of any emulator; its last console output has been passed on before."""
        status = await super().wait_exited()
        self._console.drain()
        return status

    async def write_console(self, data: bytes) -> None:
        await self._console.write(data)

    async def pause(self) -> None:
        """Stop the virtual CPUs and the virtual clock."""
        await self._monitor.execute("stop")

    async def resume(self) -> None:
        await self._monitor.execute("cont")

    async def reset(self) -> None:
        """Press the reset button. A paused guest stays paused; one that has halted runs again."""
        halted = await self._has_halted()
        if self._halts_on_reboot:
            await self._monitor.execute("set-action", reboot="reset")
        await self._monitor.execute("system_reset")
        if self._halts_on_reboot:
            await self._monitor.execute("set-action", reboot="shutdown")
        if halted:
            # The reset happens in the emulator's main loop, after the command has been answered.
            for _ in range(RESET_ROUNDS):
                if not await self._has_halted():
                    break
            await self._monitor.execute("cont")

    async def _has_halted(self) -> bool:
        return (await self._monitor.execute("query-status"))["status"] in HALTED


class QemuMemoryNode(QemuNode):
    """A QemuNode with HasMemory."""

    def __init__(
        self,
        spec: NodeSpec,
        process: Process,
        console: Console,
        monitor: Monitor,
        memory: GuestMemory,
        *,
        halts_on_reboot: bool = False,
    ) -> None:
        super().__init__(spec, process, console, monitor, halts_on_reboot=halts_on_reboot)
        self._memory = memory

    async def read_memory(self, address: int, size: int) -> bytes:
        """Physical memory; the guest runs on meanwhile."""
        return await self._memory.read(address, size)

    async def write_memory(self, address: int, data: bytes) -> None:
        """Physical memory; the guest runs on meanwhile."""
        await self._memory.write(address, data)
