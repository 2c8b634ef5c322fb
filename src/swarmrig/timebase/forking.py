"""Forks of a network in virtual time: copies of its process, each with a future of its own.

The network process is single-threaded and has all state of the network in memory: queues, generators, Python nodes,
what guests have said. A copy of it by fork(2), made while time stands and nobody is at work, is an exact snapshot. The
guests are not in it; each gets an emulator that goes on where its own stood.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.model.network import PortKind
from swarmrig.net.fabric import socket_pair
from swarmrig.net.plan_file import dump_plan
from swarmrig.proc.words import last_words
from swarmrig.timebase.fabric import VirtualFabric

QUIET_NS = 1_000
"""For so long nothing may be due anywhere where a swarm is forked. It is as long as virtio-net gathers frames before
it sends them (nodes.qemu.virtual), so none is being gathered; and emulators have time to be made the same."""
GOODBYE_S = 5.0
RESTORE_S = 60.0
"""What emulators may take to read their state."""

Store = tuple[int, int, bytes]
"""What is stored in a guest's memory to make it as it was: how long after it went on (less than QUIET_NS), the physical
address, the bytes."""
Lines = Mapping[str, Sequence[tuple[int, str]]]
"""Console lines by device, with their times."""


class ForkProcess:
    """A copy of a network process. It is no child of ours: it is watched by a pidfd."""

    def __init__(self, pid: int, stderr_path: Path) -> None:
        self.pid = pid
        self.stderr_path = stderr_path
        self._pidfd = os.pidfd_open(pid)

    async def wait(self) -> ExitStatus:
        """Return when it has ended; how, only its parent knows."""
        await anyio.wait_readable(self._pidfd)
        return ExitStatus(None, None)

    def last_words(self, lines: int = 20) -> str:
        """See Process.last_words."""
        return last_words(self.stderr_path, lines)

    async def close(self) -> None:
        """Its control socket is closed: it ends, or it is killed."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(GOODBYE_S) as late:
                await self.wait()
            if late.cancelled_caught:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, 9)
                with anyio.move_on_after(GOODBYE_S):
                    await self.wait()
            os.close(self._pidfd)


class ForkedFabric(VirtualFabric):
    """The network of a fork. Its statistics have the console lines since the beginning, too."""

    told: dict[str, list[tuple[int, str]]]
    """Console lines from before the fork, until somebody asks."""

    async def statistics(self) -> dict[str, Any]:
        statistics = await super().statistics()
        told, self.told = self.told, {}
        console = statistics["console"]
        statistics["console"] = {name: [*told.get(name, ()), *console.get(name, ())] for name in {**told, **console}}
        return statistics

    async def restored(self) -> bool:
        """Return when all guests' emulators are where the guests stood, and whether nothing is different there."""
        return bool(await self._request("restored", timeout_s=RESTORE_S))

    async def _restore_guests(self, stores: Mapping[str, Sequence[Store]]) -> None:
        """Make a port for each guest's new emulator."""
        for device in self.plan.devices:
            if device.port is not PortKind.LOCKSTEP:
                continue
            near, far = socket_pair(socket.SOCK_STREAM)
            self._ports[device.name] = near
            listed = [(delay, address, data.hex()) for delay, address, data in stores.get(device.name, ())]
            try:
                await self._request("restore", [far], devices=[device.name], stores=listed, within_ns=QUIET_NS)
            finally:
                os.close(far)


@asynccontextmanager
async def open_fork(
    warm: VirtualFabric, *, directory: Path, stores: Mapping[str, Sequence[Store]], told: Lines
) -> AsyncIterator[ForkedFabric]:
    """A copy of a network whose time stands where nobody is at work; that one may be copied again.

    Its captures, with all that there was, are in `directory`, and so is its stderr. `stores`: by device, what each
    guest's emulator is to be given; `told`: what the rig has heard of consoles so far. ValueError when somebody is at
    work, HostError when it cannot be made.
    """
    directory = _prepared(directory, warm)
    control, far = socket.socketpair()
    with control:
        with far:
            pid = await warm._request("fork", [far.fileno()], directory=str(directory))
        process = ForkProcess(pid, directory / "fabric.stderr.log")
        fabric = ForkedFabric(warm.plan, control, process, directory)
        fabric.told = {name: list(lines) for name, lines in told.items()}
        try:
            await fabric._restore_guests(stores)
            yield fabric
        finally:
            with suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
            fabric._close()
            await process.close()


def _prepared(directory: Path, warm: VirtualFabric) -> Path:
    """As of any network: with its plan."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plan.json").write_text(dump_plan(warm.plan), encoding="utf-8")
    return directory
