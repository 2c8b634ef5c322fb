"""The emulator of a QEMU node: what is executed in real and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.nodes.emulator.monitor import open_monitor
from swarmrig.nodes.emulator.node import EmulatorNode, RealTimeNode
from swarmrig.nodes.emulator.process import (
    FILE_SIZE_LIMIT,
    MONITOR_FD,
    NETWORK_FD,
    Descriptor,
    Emulator,
    Lines,
    running,
    write_argv,
)
from swarmrig.nodes.qemu.command import STATE_FD, debugger_stub, fill_in, go_on_from_state
from swarmrig.nodes.qemu.provisioning import efuse_path, flash_path
from swarmrig.proc import StopLadder

STOP_IN_VIRTUAL_TIME = StopLadder(polite_s=0.5, term_s=0.5, kill_s=2.0)
"""An emulator that waits for its coordinator hears no SIGTERM, so not much time is given to that."""


class QemuNode(RealTimeNode):
    """A QEMU node in real time."""

    def _starting(self, port_fd: int | None) -> AbstractAsyncContextManager[Emulator]:
        return running(_prepared(self.plan.command, self._context), self._context, port_fd)


class WithFlash(EmulatorNode):
    """HasFlash."""

    def __init__(self, plan: NodePlan, context: LaunchContext) -> None:
        super().__init__(plan, context)
        self.flash_path = flash_path(context.directory)
        self.flash_base = plan.memory.flash_base


@asynccontextmanager
async def in_virtual_time(plan: NodePlan, context: LaunchContext, port_fd: int | None) -> AsyncIterator[Emulator]:
    """Start the emulator; returns when it is executed. Console, network and time go through the port, which is closed
    here; the monitor answers only while the coordinator holds the guest."""
    with Descriptor(port_fd) as port, ExitStack() as stack:
        command = _prepared(plan.command, context)
        write_argv(context, command)
        lines = Lines.open(stack, MONITOR_FD)
        state = {}
        if context.snapshot is not None:
            state = {STATE_FD: stack.enter_context(context.snapshot.state.open("rb")).fileno()}
        async with (
            open_monitor(plan.spec.id, lines.ours[MONITOR_FD]) as monitor,
            context.spawner.process(
                command,
                name=plan.spec.id,
                fds={**lines.childs, **port.for_child(NETWORK_FD), **state},
                stderr=context.directory / "stderr.log",
                polite=_end_of_channel,
                stop=STOP_IN_VIRTUAL_TIME,
                file_size_limit=FILE_SIZE_LIMIT,
            ) as process,
        ):
            lines.close_childs()
            port.close()
            yield Emulator(process, monitor)


async def _end_of_channel() -> None:
    """Nothing to ask: the coordinator has closed the channel, and the emulator ends by itself."""


def _prepared(template: tuple[str, ...], context: LaunchContext) -> list[str]:
    """The command to execute."""
    directory = context.directory
    command = fill_in(template, mac=context.device.mac, flash=flash_path(directory), efuse=efuse_path(directory))
    if context.snapshot is not None:
        command += go_on_from_state()
    if context.debugger_port is not None:
        command += debugger_stub(context.debugger_port)
    return command
