"""The way into the network namespace that a Renode has for itself."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from swarmrig.errors import HostError, NodeError
from swarmrig.nodes.renode.launcher import LAUNCHER

SOCKETS = 6
"""For the monitor, to connect to it again a few times, and for a UART."""
FD = 3
_ETH_P_ALL = 0x0003
_ROOT = Path(__file__).resolve().parents[3]
"""Where the package is found."""


class Door:
    """Sockets that are in the namespace, though this process is not."""

    def __init__(self, node: str, ours: socket.socket) -> None:
        self._node = node
        self._ours = ours
        self._sockets: list[socket.socket] = []
        self._raw: socket.socket | None = None
        self._stack = ExitStack()

    async def wait_until_open(self) -> None:
        """The namespace is there. HostError when whoever was to make it has ended instead."""
        await anyio.wait_readable(self._ours)
        data, descriptors, _, _ = socket.recv_fds(self._ours, 16, SOCKETS + 1)
        found = [self._stack.enter_context(socket.socket(fileno=fd)) for fd in descriptors]
        if not data or len(found) != SOCKETS + 1:
            raise HostError("there is no network namespace for Renode", hint="see `swarmrig doctor`: user namespaces")
        *self._sockets, self._raw = found

    def tcp(self) -> socket.socket:
        """A TCP socket of the namespace, not used before; whoever takes it closes it."""
        if not self._sockets:
            raise NodeError(self._node, "its monitor was connected to too often in one life")
        return self._sockets.pop().dup()

    def raw(self, interface: str) -> socket.socket:
        """The raw socket, bound to an interface of the namespace; OSError when that is not there."""
        assert self._raw is not None
        self._raw.bind((interface, _ETH_P_ALL))
        self._raw.setblocking(False)
        return self._raw

    def close(self) -> None:
        self._stack.close()
        self._ours.close()


@contextmanager
def open_door(node: str) -> Iterator[tuple[Door, socket.socket]]:
    """A door, and the socket that the launcher has to be given as descriptor FD."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    door = Door(node, ours)
    try:
        with theirs:
            yield door, theirs
    finally:
        door.close()


def behind_door(command: Sequence[str]) -> list[str]:
    """The command that runs another one in a network namespace of its own."""
    return [sys.executable, "-I", "-S", "-c", LAUNCHER, str(_ROOT), str(FD), str(SOCKETS), *command]
