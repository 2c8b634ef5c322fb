"""One emulator process, from its start to its end, with the connections that the rig has to it."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.errors import HostError
from swarmrig.nodes.console import Console, open_console
from swarmrig.nodes.qemu.command import (
    CONSOLE_FD,
    MEMORY_FD,
    MONITOR_FD,
    NETWORK_FD,
    STATE_FD,
    debugger_stub,
    fill_in,
    go_on_from_state,
)
from swarmrig.nodes.qemu.machines import MIB
from swarmrig.nodes.qemu.memory import GuestMemory
from swarmrig.nodes.qemu.monitor import Monitor, greeted, open_monitor
from swarmrig.nodes.qemu.provisioning import efuse_path, flash_path
from swarmrig.proc import Process, StopLadder, wait_until_ready

START_DEADLINE_S = 15.0
"""How long an emulator may take to greet; a dead one is noticed at once, this is for those that hang."""
STOP = StopLadder(polite_s=0.0, term_s=1.5, kill_s=2.0)
"""SIGTERM is QEMU's polite request: it flushes its disks and exits."""
STOP_IN_VIRTUAL_TIME = StopLadder(polite_s=0.5, term_s=0.5, kill_s=2.0)
"""An emulator that waits for its coordinator hears no SIGTERM, so not much time is given to that."""
FILE_SIZE_LIMIT = 128 * MIB
"""More than any flash; an emulator that floods its stderr ends here."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """What the rig has to do with a running emulator."""

    process: Process
    monitor: Monitor
    console: Console | None = None
    """None in virtual time: it goes through the lockstep channel."""
    memory: GuestMemory | None = None


@asynccontextmanager
async def in_real_time(plan: NodePlan, context: LaunchContext, port_fd: int | None) -> AsyncIterator[Emulator]:
    """Start the emulator; returns at its first sign of life. NodeError with its own words when it ends before that.
    `port_fd` is closed."""
    node_id = plan.spec.id
    with _Descriptor(port_fd) as port, ExitStack() as stack:
        command = _prepared(plan.command, context)
        lines = _Lines.open(stack, CONSOLE_FD, MONITOR_FD, MEMORY_FD)
        console = stack.enter_context(
            open_console(
                node_id,
                lines.ours[CONSOLE_FD],
                context.directory / "console.log",
                lambda chunk: context.on_console(node_id, context.now_ns(), chunk),
            )
        )
        async with (
            open_monitor(node_id, lines.ours[MONITOR_FD]) as monitor,
            context.spawner.process(
                command,
                name=node_id,
                fds={**lines.childs, **port.for_child(NETWORK_FD)},
                stderr=context.directory / "stderr.log",
                stop=STOP,
                file_size_limit=FILE_SIZE_LIMIT,
            ) as process,
        ):
            lines.close_childs()
            port.close()
            monitor_line = lines.ours[MONITOR_FD]
            await wait_until_ready(process, lambda: greeted(monitor_line), deadline_s=START_DEADLINE_S, what="started")
            yield Emulator(process, monitor, console, GuestMemory(node_id, lines.ours[MEMORY_FD]))
    if console.failure:
        raise HostError(f"the console of {node_id} could not be logged on: {console.failure.strerror}")


@asynccontextmanager
async def in_virtual_time(plan: NodePlan, context: LaunchContext, port_fd: int | None) -> AsyncIterator[Emulator]:
    """Start the emulator; returns when it is executed. Console, network and time go through the port, which is closed
    here; the monitor answers only while the coordinator holds the guest."""
    with _Descriptor(port_fd) as port, ExitStack() as stack:
        command = _prepared(plan.command, context)
        lines = _Lines.open(stack, MONITOR_FD)
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
    """The command to execute, written down."""
    directory = context.directory
    command = fill_in(template, mac=context.device.mac, flash=flash_path(directory), efuse=efuse_path(directory))
    if context.snapshot is not None:
        command += go_on_from_state()
    if context.debugger_port is not None:
        command += debugger_stub(context.debugger_port)
    _write_argv(context, command)
    return command


def _write_argv(context: LaunchContext, command: Sequence[str]) -> None:
    path = context.directory / "argv"
    try:
        path.write_text(shlex.join(command) + "\n", encoding="utf-8")
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


@dataclass
class _Lines:
    """The connections between rig and emulator, by descriptor number: our ends, and the emulator's."""

    ours: dict[int, socket.socket]
    childs: dict[int, socket.socket]

    @classmethod
    def open(cls, stack: ExitStack, *numbers: int) -> _Lines:
        lines = cls({}, {})
        for number in numbers:
            lines.ours[number], lines.childs[number] = socket.socketpair()
            stack.enter_context(lines.ours[number])
            stack.enter_context(lines.childs[number])
        return lines

    def close_childs(self) -> None:
        """Ours of the emulator's ends; without them, its end is the end of the connection."""
        for sock in self.childs.values():
            sock.close()


class _Descriptor:
    """Owns a file descriptor that may be absent; closed at the latest when its context ends."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def __enter__(self) -> _Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def for_child(self, number: int) -> dict[int, int]:
        return {} if self._fd is None else {number: self._fd}

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
