"""Inside another network namespace: a TAP interface whose descriptor stays here, and sockets.

A namespace belongs to a thread, so each visit is made by a thread of its own, which ends there. What it opens stays
in that namespace wherever it is used: no interface of this machine is needed, and nothing outlives the descriptors.
Takes CAP_SYS_ADMIN and CAP_NET_ADMIN over the namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from swarmrig.errors import HostError
from swarmrig.net.interface import Tap, make_interface, remove_interface

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def open_tap(namespace: int, tap: Tap) -> int:
    """Make the interface in the namespace (an open descriptor of it), up and with its address; `lo` is up, too.

    Returns its descriptor, one frame a read or write; the interface is gone once that is closed. HostError says what
    is missing: the device node, the privilege. Blocks for less than a millisecond.
    """
    return _inside(namespace, lambda: make_interface(tap))


def open_socket(namespace: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """An IPv4 socket of the namespace. HostError when it may not be entered."""
    return _inside(namespace, lambda: socket.socket(socket.AF_INET, kind))


def remove_link(namespace: int, name: str) -> None:
    """Remove an interface of the namespace; nothing happens when there is none. OSError when the kernel refuses."""
    _inside(namespace, lambda: remove_interface(name))


def _inside(namespace: int, action: Callable[[], T]) -> T:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="netns") as thread:
        return thread.submit(_entered, namespace, action).result()


def _entered(namespace: int, action: Callable[[], T]) -> T:
    """For a thread that does nothing else afterwards."""
    if _libc().setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise HostError(
            f"cannot enter the network namespace: {os.strerror(number)}",
            hint="run as root: that takes CAP_SYS_ADMIN",
        )
    return action()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
