"""One life of a machine: its Renode, its lines and its place in the network, from power-on to power-off."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from swarmrig.api.nodes import ExitStatus, LaunchContext
from swarmrig.errors import NodeError
from swarmrig.nodes.console import Console, open_console
from swarmrig.nodes.renode import bringup
from swarmrig.nodes.renode.cable import ethernet_cable, serial_cable, unplugged
from swarmrig.nodes.renode.chores import going_on
from swarmrig.nodes.renode.life import LOG, Renode, explained, running
from swarmrig.nodes.renode.lines import joined
from swarmrig.nodes.renode.setup import Load, Setup
from swarmrig.nodes.renode.stepping import Stepping, Uart

_DYING_S = 0.25
_LINE_S = 10.0


class Machine:
    """A machine that runs, or stands still because it was told to."""

    def __init__(self, node: str, renode: Renode, log: str, *, empty: bool) -> None:
        """`empty`: there is no firmware in it yet, so it is not started."""
        self.node = node
        self.renode = renode
        self.console: Console | None = None
        """None in virtual time: it goes through the network."""
        self.stepping: Stepping | None = None
        self._log = log
        self._empty = empty
        self._runs = False
        self._killed = False

    @property
    def has_ended(self) -> bool:
        return self.renode.process.exit_status is not None

    async def unfit(self) -> None:
        """Return when Renode has ended. NodeError as soon as its machine can do nothing any more."""
        waits: list[Awaitable[object]] = [self.renode.process.wait(), self.renode.log.failed.wait()]
        if self.stepping is not None:
            waits.append(self.stepping.failed.wait())
        await _first(waits)
        if not self.has_ended:  # a dead Renode breaks everything else, too: then that is not the reason
            with anyio.move_on_after(_DYING_S):
                await self.renode.process.wait()
        if not self.has_ended and not self._killed:
            raise self._failure()

    def _failure(self) -> NodeError:
        if self.renode.log.failure is not None:
            hint = "is the firmware for this machine? the addresses are in the log"
            return NodeError(self.node, f"its machine has stopped: {self.renode.log.failure}", hint=hint, log=self._log)
        assert self.stepping is not None and self.stepping.failure is not None
        return self.stepping.failure

    async def ended(self) -> ExitStatus:
        status = await self.renode.process.wait()
        if self.console is not None:
            self.console.drain()
        return status

    async def kill(self) -> None:
        self._killed = True
        self.renode.monitor.break_off("its power is off")
        self.renode.process.send_signal(signal.SIGKILL, group=True)

    def last_words(self) -> str:
        return self.renode.last_words()

    async def execute(self, command: str, *, foreign: bool = False) -> str:
        """A monitor command; see Monitor."""
        return await self.renode.monitor.execute(command, foreign=foreign)

    async def start(self) -> None:
        await self.execute("start")
        self._runs = True

    async def pause(self) -> None:
        await self.execute("pause")
        self._runs = False

    async def resume(self) -> None:
        await self.start()

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """It stands still, and goes on afterwards if it did before."""
        ran = self._runs
        if ran:
            await self.pause()
        try:
            yield
        finally:
            if ran and self.renode.monitor.unusable is None:
                await self.start()

    async def load(self, load: Load) -> None:
        """Other firmware: Renode loads only into a machine that stands still."""
        async with self.standing():
            await self.renode.monitor.execute(load.words(), deadline_s=bringup.LOAD_S)
            await self.execute(bringup.reset_macro(load))
            await self.execute("machine Reset")
        if self._empty:
            self._empty = False
            await self.begin()

    async def begin(self) -> None:
        """Run for the first time; in virtual time, and without firmware, that is for others to do."""
        if self.stepping is None and not self._empty:
            await self.start()


@asynccontextmanager
async def in_real_time(setup: Setup, context: LaunchContext, port: socket.socket) -> AsyncIterator[Machine]:
    """A machine that has been started; without firmware, one that waits for some. The port belongs to this context."""
    node = setup.spec.id
    async with AsyncExitStack() as stack:
        stack.enter_context(port)
        renode = await stack.enter_async_context(running(setup, context, virtual=False))
        machine = _machine(setup, context, renode)
        line = await stack.enter_async_context(_console_line(setup, renode))
        machine.console = stack.enter_context(
            open_console(
                node,
                line,
                context.directory / "console.log",
                lambda chunk: context.on_console(node, context.now_ns(), chunk),
            )
        )
        await stack.enter_async_context(_plugged_in(setup, context, renode, port))
        try:
            await machine.begin()
        except NodeError as error:
            raise await explained(renode, setup, error) from error
        yield machine


@asynccontextmanager
async def in_virtual_time(setup: Setup, context: LaunchContext, port: socket.socket) -> AsyncIterator[Machine]:
    """A machine that the coordinator leads, at the other end of the port, which belongs to this context."""
    options, node = setup.options, setup.spec.id
    async with AsyncExitStack() as stack:
        stack.enter_context(port)
        renode = await stack.enter_async_context(running(setup, context, virtual=True))
        machine = _machine(setup, context, renode)
        console = Uart(setup.uart, renode.paths.console, options.step)
        serial = Uart(options.serial, renode.paths.serial, options.step) if options.serial is not None else None
        machine.stepping = Stepping(node, renode.monitor, port, options.step, context.device.mac, console, serial)
        await stack.enter_async_context(going_on(machine.stepping.run))
        yield machine


def _machine(setup: Setup, context: LaunchContext, renode: Renode) -> Machine:
    empty = setup.load is None and setup.options.script is None
    return Machine(setup.spec.id, renode, str(context.directory / LOG), empty=empty)


@asynccontextmanager
async def _console_line(setup: Setup, renode: Renode) -> AsyncIterator[socket.socket]:
    """A socket with what the console says; connected before the machine starts, so nothing is lost."""
    node = setup.spec.id
    if setup.options.console == "pty":
        async with joined(node, renode.paths.console) as line:
            yield line
        return
    with renode.door.tcp() as line:
        line.setblocking(False)
        try:
            with anyio.fail_after(_LINE_S):
                await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", bringup.CONSOLE_PORT))
        except (OSError, TimeoutError) as error:
            raise NodeError(node, f"its console's socket cannot be reached: {error}") from error
        yield line


@asynccontextmanager
async def _plugged_in(setup: Setup, context: LaunchContext, renode: Renode, port: socket.socket) -> AsyncIterator[None]:
    """What the machine has of the network."""
    node = setup.spec.id
    async with AsyncExitStack() as stack:
        if setup.options.serial is not None:
            line = await stack.enter_async_context(joined(node, renode.paths.serial))
            await stack.enter_async_context(serial_cable(port, line, context.device.mac))
        elif setup.options.ethernet is not None:
            try:
                raw = renode.door.raw(bringup.TAP)
            except OSError as error:
                raise NodeError(
                    node,
                    f"Renode made no interface {bringup.TAP}: {error.strerror}",
                    hint="may /dev/net/tun be opened? see `swarmrig doctor`",
                ) from error
            await stack.enter_async_context(ethernet_cable(port, raw))
        else:
            await stack.enter_async_context(unplugged(port))
        yield


async def _first(waits: list[Awaitable[object]]) -> None:
    """Return when one of them does."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait(tasks)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
