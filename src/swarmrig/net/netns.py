"""Inside another network namespace: a TAP interface whose descriptor stays here, and sockets.

A namespace belongs to a thread, so each visit is made by a thread of its own, which ends there. What it opens stays
in that namespace wherever it is used: no interface of this machine is needed, and nothing outlives the descriptors.
Takes CAP_SYS_ADMIN and CAP_NET_ADMIN over the namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import TypeVar

from swarmrig.errors import HostError
from swarmrig.model.network import DevicePlan
from swarmrig.net.tap import make_tap, without_ipv6
from swarmrig.proc import netlink

T = TypeVar("T")

INTERFACE = "eth0"
"""What the interface is called inside, as in containers of every engine."""

_CLONE_NEWNET = 0x40000000
# linux/sockios.h
_SIOCADDRT, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR = 0x890B, 0x8913, 0x8914, 0x8916
_SIOCSIFNETMASK, _SIOCSIFHWADDR = 0x891C, 0x8924
_IFF_UP = 0x0001
_ARPHRD_ETHER = 1
_RTF_UP, _RTF_GATEWAY = 0x0001, 0x0002
_IFREQ_FLAGS = struct.Struct("16sH22x")
_IFREQ_ADDRESS = struct.Struct("16s16s8x")
_RTENTRY = struct.Struct("@L16s16s16sHhLPhPLLH")
"""linux/route.h; the device is left to the kernel, which knows the way to the gateway."""


@dataclass(frozen=True, slots=True)
class Tap:
    """The interface to make, with the place in the network that it has."""

    mac: str
    address: IPv4Interface
    gateway: str | None = None
    name: str = INTERFACE

    @classmethod
    def of(cls, device: DevicePlan) -> Tap:
        """The interface of a device of the plan."""
        return cls(device.mac, IPv4Interface(f"{device.ip}/{device.prefix}"), device.gateway)


def open_tap(namespace: int, tap: Tap) -> int:
    """Make the interface in the namespace (an open descriptor of it), up and with its address; `lo` is up, too.

    Returns its descriptor, one frame a read or write; the interface is gone once that is closed. HostError says what
    is missing: the device node, the privilege. Blocks for less than a millisecond.
    """
    return _inside(namespace, lambda: _made(tap))


def open_socket(namespace: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """An IPv4 socket of the namespace. HostError when it may not be entered."""
    return _inside(namespace, lambda: socket.socket(socket.AF_INET, kind))


def remove_link(namespace: int, name: str) -> None:
    """Remove an interface of the namespace; nothing happens when there is none. OSError when the kernel refuses."""

    def remove() -> None:
        for link in netlink.links():
            if link.name == name:
                netlink.delete(link)

    _inside(namespace, remove)


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


def _made(tap: Tap) -> int:
    name = tap.name.encode()
    fd = make_tap(tap.name)
    try:
        without_ipv6(tap.name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            _switch_on(control, b"lo")
            _configure(control, name, tap)
    except OSError as error:
        os.close(fd)
        raise HostError(f"cannot make the interface {tap.name} ({tap.address}): {error.strerror}") from error
    return fd


def _configure(control: socket.socket, name: bytes, tap: Tap) -> None:
    mac = bytes.fromhex(tap.mac.replace(":", ""))
    fcntl.ioctl(control, _SIOCSIFHWADDR, _IFREQ_ADDRESS.pack(name, struct.pack("=H6s8x", _ARPHRD_ETHER, mac)))
    fcntl.ioctl(control, _SIOCSIFADDR, _IFREQ_ADDRESS.pack(name, _sockaddr(str(tap.address.ip))))
    fcntl.ioctl(control, _SIOCSIFNETMASK, _IFREQ_ADDRESS.pack(name, _sockaddr(str(tap.address.netmask))))
    _switch_on(control, name)
    if tap.gateway is not None:
        anywhere = _sockaddr("0.0.0.0")  # noqa: S104 - the default route
        flags = _RTF_UP | _RTF_GATEWAY
        route = (0, anywhere, _sockaddr(tap.gateway), anywhere, flags, 0, 0, 0, 0, 0, 0, 0, 0)
        fcntl.ioctl(control, _SIOCADDRT, _RTENTRY.pack(*route))


def _switch_on(control: socket.socket, name: bytes) -> None:
    _, flags = _IFREQ_FLAGS.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, _IFREQ_FLAGS.pack(name, 0)))
    fcntl.ioctl(control, _SIOCSIFFLAGS, _IFREQ_FLAGS.pack(name, flags | _IFF_UP))


def _sockaddr(ip: str) -> bytes:
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(ip))
