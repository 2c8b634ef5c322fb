"""A machine in Renode as a node of a run."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from swarmrig.api.nodes import ExitStatus, LaunchContext, NodePlan
from swarmrig.errors import NodeError
from swarmrig.nodes.commanded import CommandedNode
from swarmrig.nodes.power import PoweredNode
from swarmrig.nodes.renode import flashing, memory
from swarmrig.nodes.renode.machine import Machine, in_real_time, in_virtual_time
from swarmrig.nodes.renode.setup import Setup, check_isa, load_of


class RenodeNode(PoweredNode[Machine]):
    """CanKill, CanPowerCycle, CanFlash, HasMonitor: in any time."""

    def __init__(self, plan: NodePlan, setup: Setup, context: LaunchContext) -> None:
        super().__init__(plan)
        self._setup = setup
        self._context = context
        self._port_fd = context.port_fd

    async def _take_port(self) -> socket.socket:
        """The node's end of its place in the network; each life has one of its own."""
        fd, self._port_fd = self._port_fd, None
        return socket.socket(fileno=await self._context.network.renew_port(self.spec.id) if fd is None else fd)

    def close(self) -> None:
        """The port that no life has taken, and the firmware that no life will load."""
        flashing.discard(self._setup.load, self._context)
        if self._port_fd is not None:
            os.close(self._port_fd)
            self._port_fd = None

    async def monitor(self, command: str) -> str:
        """Give the monitor a command of somebody else's; returns what it printed. NodeError unless the scenario allows
        that, and when Renode refuses it; ValueError for what is no single line."""
        if not self._setup.options.allow_raw_monitor:
            raise NodeError(
                self.spec.id, "raw monitor commands are not allowed", hint="set `allow_raw_monitor: true` on the node"
            )
        return await self.life.execute(command, foreign=True)

    async def flash(self, file: Path, *, load_command: str | None = None, load_address: int | None = None) -> None:
        """Give it other firmware. While the power is on it is loaded and the machine reset; in any case that is what
        it boots from now on. NodeError when it cannot be loaded, ValueError for what does not load firmware."""
        named = load_of(self.spec.id, file, *flashing.checked(load_command, load_address, self._setup))
        if self._setup.machine is not None:
            check_isa(self.spec.id, file, self._setup.machine)
        async with flashing.staged(self.spec.id, named, self._context) as load:
            if self._life is not None:
                await self._life.load(load)
        former, self._setup = self._setup.load, flashing.with_load(self._setup, load)
        flashing.discard(former, self._context)


class RealTimeNode(RenodeNode):
    """HasConsole, CanPause, CanReset, HasMemory beside what every machine can; in real time."""

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[Machine]:
        port = await self._take_port()
        async with in_real_time(self._setup, self._context, port) as machine:
            yield machine

    async def write_console(self, data: bytes) -> None:
        assert self.life.console is not None
        await self.life.console.write(data)

    async def pause(self) -> None:
        """The machine stands still, and its clock with it."""
        await self.life.pause()

    async def resume(self) -> None:
        await self.life.resume()

    async def reset(self) -> None:
        """Press the reset button: its firmware is loaded anew. A paused machine stays paused."""
        async with self.life.standing():  # the firmware is loaded, too, and Renode loads into no machine that runs
            await self.life.execute("machine Reset")

    async def read_memory(self, address: int, size: int) -> bytes:
        return await memory.read(self.spec.id, self.life.execute, address, size)

    async def write_memory(self, address: int, data: bytes) -> None:
        await memory.write(self.life.execute, address, data)

    async def flip_memory(self, address: int, mask: bytes) -> tuple[bytes, bytes]:
        """The machine stands still meanwhile."""
        async with self.life.standing():
            return await memory.flip(self.spec.id, self.life.execute, address, mask)


class VirtualTimeNode(CommandedNode, RenodeNode):
    """HasConsole, CanPause, CanReset, HasMemory beside what every machine can; in virtual time."""

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[Machine]:
        port = await self._take_port()
        async with in_virtual_time(self._setup, self._context, port) as machine:
            yield machine

    async def flash(self, file: Path, *, load_command: str | None = None, load_address: int | None = None) -> None:
        async with self._network.standing():
            await super().flash(file, load_command=load_command, load_address=load_address)

    @property
    def is_on(self) -> bool:
        return self._life is not None

    async def wait_exited(self) -> ExitStatus:
        status = await super().wait_exited()
        await self._note_end()
        return status

    async def kill(self) -> None:
        async with self._leaving():
            if not self.life.has_ended:
                self._end = await self._network.whereabouts(self.spec.id)
            await super().kill()

    async def power_off(self) -> None:
        async with self._leaving():
            await super().power_off()

    async def power_on(self) -> None:
        async with self._joining():
            await super().power_on()
