"""An interface as a device of the plan has it, in the network namespace that the calling thread is in.

Standard library and cheap: programs that live in a namespace of their own make theirs themselves.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from swarmrig.errors import HostError
from swarmrig.net.tap import make_tap, without_ipv6
from swarmrig.proc import netlink

if TYPE_CHECKING:
    from swarmrig.model.network import DevicePlan

INTERFACE = "eth0"
"""What the interface is called inside, as in containers of every engine."""

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


def make_interface(tap: Tap) -> int:
    """A TAP interface, up and with its address; `lo` is up, too. Returns its descriptor, one frame a read or write; the
    interface is gone once that is closed. HostError says what is missing: the device node, the privilege."""
    fd = make_tap(tap.name)
    try:
        configure(tap)
    except OSError as error:
        os.close(fd)
        raise not_made(tap, error) from error
    return fd


def configure(tap: Tap) -> None:
    """Give an interface that exists its MAC, its address and its route, and switch it and `lo` on. OSError."""
    without_ipv6(tap.name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _switch_on(control, b"lo")
        _configure(control, tap.name.encode(), tap)


def switch_on(name: str) -> None:
    """OSError when there is no such interface, or no privilege."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _switch_on(control, name.encode())


def remove_interface(name: str) -> None:
    """Nothing happens when there is none. OSError when the kernel refuses."""
    for link in netlink.links():
        if link.name == name:
            netlink.delete(link)


def not_made(tap: Tap, error: OSError) -> HostError:
    """What to raise when the interface could not be made."""
    return HostError(f"cannot make the interface {tap.name} ({tap.address}): {error.strerror}")


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
