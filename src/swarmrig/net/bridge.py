"""The host as a member of the network: a Linux bridge on one of the fabric's ports. Needs root.

The nodes stay on the fabric, with all of its links, impairments and captures; what the bridge adds is that programs
of the host, and whatever else is bridged, can talk to them. Bridge and TAP are named and marked as the run's own
(interface alias), journalled before they are made, and gone when the context ends.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from swarmrig.errors import MissingExtraError
from swarmrig.model.network import DevicePlan
from swarmrig.net.tap import make_tap, refused, without_ipv6
from swarmrig.proc import Spawner


@asynccontextmanager
async def open_host_bridge(device: DevicePlan, spawner: Spawner) -> AsyncIterator[int]:
    """A bridge that has the device's MAC and address, and a TAP in it; yields the TAP's descriptor for the fabric.

    HostError says what is missing: the device node, the privilege, an address that is in use.
    """
    scope = spawner.scope
    bridge, tap = f"{scope.link_prefix}br", f"{scope.link_prefix}t0"
    for name in (bridge, tap):
        spawner.journal.link(name)
    fd = make_tap(tap)
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


def _mark(link: str, alias: str) -> None:
    """Say whose it is; the kernel takes no alias when a link is made."""
    (Path("/sys/class/net") / link / "ifalias").write_text(alias)
    without_ipv6(link)


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
        raise refused(f"the bridge {bridge} with {device.ip}/{device.prefix}", number) from error


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
