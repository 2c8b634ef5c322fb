"""The host as a member of the network: a Linux bridge on one of the fabric's ports. Needs root.

The nodes stay on the fabric, with all of its links, impairments and captures; what the bridge adds is that programs
of the host, and whatever else is bridged, can talk to them. Bridge and TAP are named and marked as the run's own
(interface alias), journalled before they are made, and gone when the context ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from swarmrig.errors import HostError, MissingExtraError
from swarmrig.model.network import DevicePlan
from swarmrig.proc import Spawner

TUN_DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")


@asynccontextmanager
async def open_host_bridge(device: DevicePlan, spawner: Spawner) -> AsyncIterator[int]:
    """A bridge that has the device's MAC and address, and a TAP in it; yields the TAP's descriptor for the fabric.

    HostError says what is missing: the device node, the privilege, an address that is in use.
    """
    scope = spawner.scope
    bridge, tap = f"{scope.link_prefix}br", f"{scope.link_prefix}t0"
    for name in (bridge, tap):
        spawner.journal.link(name)
    fd = _open_tap(tap)
    try:
        _mark(tap, scope.link_alias)
        await anyio.to_thread.run_sync(_make_bridge, bridge, tap, scope.link_alias, device)
        try:
            yield fd
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove_link, bridge)
    finally:
        os.close(fd)


def _open_tap(name: str) -> int:
    """The descriptor of a new TAP interface without packet information; the interface lives as long as it."""
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
        raise _refused(f"the TAP interface {name}", error.errno) from error
    return fd


def _mark(link: str, alias: str) -> None:
    """Say whose it is; the kernel takes no alias when a link is made."""
    (Path("/sys/class/net") / link / "ifalias").write_text(alias)
    _without_ipv6(link)


def _without_ipv6(link: str) -> None:
    """Or else the host's kernel would solicit routers and report groups on the network under test."""
    with suppress(OSError):  # a kernel without IPv6
        (Path("/proc/sys/net/ipv6/conf") / link / "disable_ipv6").write_text("1")


def _make_bridge(bridge: str, tap: str, alias: str, device: DevicePlan) -> None:
    route = _iproute()
    made = False
    try:
        with route() as ip:
            ip.link("add", ifname=bridge, kind="bridge", address=device.mac, br_mcast_snooping=0)
            made = True
            _mark(bridge, alias)
            index = ip.link_lookup(ifname=bridge)[0]
            ip.link("set", index=ip.link_lookup(ifname=tap)[0], master=index, state="up")
            ip.link("set", index=index, state="up")
            ip.addr("add", index=index, address=device.ip, prefixlen=device.prefix)
    except Exception as error:  # pyroute2's own error class is known only when it is installed
        if made:
            _remove_link(bridge)
        number = getattr(error, "code", None) or getattr(error, "errno", None)
        raise _refused(f"the bridge {bridge} with {device.ip}/{device.prefix}", number) from error


def _remove_link(name: str) -> None:
    with _iproute()() as ip:
        for index in ip.link_lookup(ifname=name):
            ip.link("del", index=index)


def _iproute() -> Any:
    try:
        from pyroute2 import IPRoute
    except ImportError as error:
        raise MissingExtraError("network mode bridge", "bridge") from error
    return IPRoute


def _refused(what: str, number: int | None) -> HostError:
    reason = os.strerror(number) if number else "the kernel refuses"
    if number in (errno.EPERM, errno.EACCES):
        return HostError(f"cannot make {what}: {reason}", hint="run as root, or use network mode fabric")
    return HostError(f"cannot make {what}: {reason}", hint="is the name or the address in use? see `ip address`")
