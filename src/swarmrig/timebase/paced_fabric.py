"""The rig's side of a network in paced time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from swarmrig.model.network import NetworkPlan
from swarmrig.net.fabric import bridge_host, run_network
from swarmrig.proc import Spawner
from swarmrig.timebase.fabric import DAY_S, VirtualFabric

PACED_TIME = "swarmrig.timebase.paced_process"
"""Program of the network process in paced time."""


class PacedFabric(VirtualFabric):
    """A network in which virtual time is held to this machine's clock, with devices that live by that clock."""

    origin_ns: int | None = None
    """Reading of CLOCK_MONOTONIC at run time 0, as if the clock had never waited for anybody, as far as is known here;
    None before the beginning."""

    async def begun(self) -> None:
        """Return when time has begun: after `go`, when every guest stands before its first instruction."""
        self.origin_ns = int(await self._request("begun", timeout_s=DAY_S))

    async def park(self, token: int) -> None:
        """The token has been told of a time, and lets time go on; it may `reach` on later."""
        await self._request("park", token=token)

    async def statistics(self) -> dict[str, Any]:
        """As of any network. `pace`: see timebase.pace.Pace; `lost` are frames from outside for which there was no room
        while time stood."""
        statistics = await super().statistics()
        if statistics["pace"]["origin_ns"] is not None:
            self.origin_ns = int(statistics["pace"]["origin_ns"])
        return statistics


@asynccontextmanager
async def open_paced_fabric(
    plan: NetworkPlan, *, directory: Path, spawner: Spawner, start_ns: int
) -> AsyncIterator[PacedFabric]:
    """As net.fabric.open_fabric; time stands at 0 until `go`, and `start_ns` says nothing."""
    async with run_network(PacedFabric, PACED_TIME, plan, directory=directory, spawner=spawner) as (fabric, stack):
        await fabric._connect(start_ns)
        await bridge_host(fabric, stack, spawner)
        yield fabric
