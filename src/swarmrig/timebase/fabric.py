"""The rig's side of a network in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from swarmrig.model.network import NetworkPlan
from swarmrig.net.fabric import Fabric, run_network
from swarmrig.proc import Spawner

VIRTUAL_TIME = "swarmrig.timebase.process"
"""Program of the network process in virtual time."""
DAY_S = 86_400.0
"""Patience with a request whose answer comes when virtual time gets there."""


class VirtualFabric(Fabric):
    """A network whose time runs when it is told to."""

    async def go(self, end_ns: int, waiters: int) -> None:
        """Let time run up to `end_ns`, once so many tokens wait for a time (see `reach`)."""
        await self._request("go", end_ns=end_ns, waiters=waiters)

    async def reach(self, token: int, t_ns: int) -> int:
        """Return when everything before `t_ns` has happened. Time stands there until the token reaches on or is
        released."""
        return int(await self._request("reach", timeout_s=DAY_S, token=token, t_ns=t_ns))

    async def release(self, token: int) -> None:
        """The token's holder wants no further stop."""
        await self._request("release", token=token)

    async def end_guests(self) -> None:
        """Have the emulators end in order; what they wrote is on disk then."""
        await self._request("end")


@asynccontextmanager
async def open_virtual_fabric(
    plan: NetworkPlan,
    *,
    directory: Path,
    spawner: Spawner,
    start_ns: int,
) -> AsyncIterator[VirtualFabric]:
    """As net.fabric.open_fabric; time stands at 0 until `go`, and `start_ns` says nothing."""
    async with run_network(VirtualFabric, VIRTUAL_TIME, plan, directory=directory, spawner=spawner) as (fabric, _):
        await fabric._connect(start_ns)
        yield fabric
