"""One emulator process, from its start to its end, with the connections that the rig has to it."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import HostError
from swarmrig.nodes.console import Console, open_console
from swarmrig.nodes.emulator.memory import GuestMemory
from swarmrig.nodes.emulator.monitor import Monitor, greeted, open_monitor
from swarmrig.proc import Process, StopLadder, wait_until_ready

CONSOLE_FD = 3
MONITOR_FD = 4
MEMORY_FD = 5
NETWORK_FD = 6
"""The port; in virtual time, the channel of the lockstep plugin."""

START_DEADLINE_S = 15.0
"""How long an emulator may take to greet; a dead one is noticed at once, this is for those that hang."""
STOP = StopLadder(polite_s=0.0, term_s=1.5, kill_s=2.0)
"""SIGTERM is QEMU's polite request: it flushes its disks and exits."""
FILE_SIZE_LIMIT = 128 << 20
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
async def running(
    command: Sequence[str], context: LaunchContext, port_fd: int | None, *, file_size_limit: int | None = None
) -> AsyncIterator[Emulator]:
    """Start the emulator in real time; returns at its first sign of life. NodeError with its own words when it ends
    before that.

    The command finds its lines at CONSOLE_FD, MONITOR_FD and MEMORY_FD, and the port, which is closed here, at
    NETWORK_FD. Into one file it may write `file_size_limit` bytes, by default FILE_SIZE_LIMIT.
    """
    node = context.device.name
    with Descriptor(port_fd) as port, ExitStack() as stack:
        write_argv(context, command)
        lines = Lines.open(stack, CONSOLE_FD, MONITOR_FD, MEMORY_FD)
        console = stack.enter_context(
            open_console(
                node,
                lines.ours[CONSOLE_FD],
                context.directory / "console.log",
                lambda chunk: context.on_console(node, context.now_ns(), chunk),
            )
        )
        async with (
            open_monitor(node, lines.ours[MONITOR_FD]) as monitor,
            context.spawner.process(
                command,
                name=node,
                fds={**lines.childs, **port.for_child(NETWORK_FD)},
                stderr=context.directory / "stderr.log",
                stop=STOP,
                file_size_limit=file_size_limit or FILE_SIZE_LIMIT,
            ) as process,
        ):
            lines.close_childs()
            port.close()
            monitor_line = lines.ours[MONITOR_FD]
            await wait_until_ready(process, lambda: greeted(monitor_line), deadline_s=START_DEADLINE_S, what="started")
            yield Emulator(process, monitor, console, GuestMemory(node, lines.ours[MEMORY_FD]))
    if console.failure:
        raise HostError(f"the console of {node} could not be logged on: {console.failure.strerror}")


def write_argv(context: LaunchContext, command: Sequence[str]) -> None:
    """Write down what is executed."""
    path = context.directory / "argv"
    try:
        path.write_text(shlex.join(command) + "\n", encoding="utf-8")
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


@dataclass
class Lines:
    """The connections between rig and emulator, by descriptor number: our ends, and the emulator's."""

    ours: dict[int, socket.socket]
    childs: dict[int, socket.socket]

    @classmethod
    def open(cls, stack: ExitStack, *numbers: int) -> Lines:
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


class Descriptor:
    """Owns a file descriptor that may be absent; closed at the latest when its context ends."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def __enter__(self) -> Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def for_child(self, number: int) -> dict[int, int]:
        return {} if self._fd is None else {number: self._fd}

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
