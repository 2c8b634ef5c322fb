"""TAP interfaces of the network namespace that the calling thread is in."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from swarmrig.errors import HostError

TUN_DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")


def make_tap(name: str) -> int:
    """The descriptor of a new TAP interface without packet information; the interface lives as long as it.

    HostError says what is missing: the device node, the privilege.
    """
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(
            f"cannot open {TUN_DEVICE}: {error.strerror}", hint="modprobe tun, or use network mode fabric"
        ) from error
    try:
        fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise refused(f"the TAP interface {name}", error.errno) from error
    return fd


def without_ipv6(link: str) -> None:
    """Or else the kernel would solicit routers and report groups on the network under test."""
    with suppress(OSError):  # a kernel without IPv6
        (Path("/proc/sys/net/ipv6/conf") / link / "disable_ipv6").write_text("1")


def refused(what: str, number: int | None) -> HostError:
    """What to raise when the kernel has not made an interface, by its error number."""
    reason = os.strerror(number) if number else "the kernel refuses"
    if number in (errno.EPERM, errno.EACCES):
        return HostError(f"cannot make {what}: {reason}", hint="run as root, or use network mode fabric")
    return HostError(f"cannot make {what}: {reason}", hint="is the name or the address in use? see `ip address`")
