"""The rig's side of a network in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio

from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Seen
from swarmrig.net.fabric import Fabric, run_network
from swarmrig.proc import Spawner
from swarmrig.timebase.lookout import condition_details
from swarmrig.timebase.stepping import Stepping
from swarmrig.timebase.stops import NEVER

VIRTUAL_TIME = "swarmrig.timebase.process"
"""Program of the network process in virtual time."""
DAY_S = 86_400.0
"""Patience with a request whose answer comes when virtual time gets there."""


class VirtualFabric(Fabric):
    """A network whose time runs when it is told to.

    Beside what `Fabric` can do, guests can be acted upon, each at exactly the time at which time stands: because a
    token holds it (`reach`), or within `standing`. ValueError says why a guest does not do what it is asked.
    """

    _own_tokens = itertools.count()

    async def go(self, end_ns: int, waiters: int, stepping: Stepping | None = None) -> None:
        """Let time run up to `end_ns`, once so many tokens wait for a time (see `reach`)."""
        await self._request("go", end_ns=end_ns, waiters=waiters, stepping=asdict(stepping or Stepping()))

    async def reach(self, token: int, t_ns: int) -> int:
        """Return when everything before `t_ns` has happened. Time stands there until the token reaches on or is
        released. Of several tokens at one time the lowest is told first, the next one when that reaches on."""
        return int(await self._request("reach", timeout_s=DAY_S, token=token, t_ns=t_ns))

    async def reach_seen(self, token: int, condition: Seen, after_ns: int = 0, by_ns: int = NEVER) -> int:
        """As `reach`, exactly `after_ns` (at least REACTION_NS) after the condition is met, or at `by_ns` if that is
        not before; returns that time. What was seen before is not counted. Without `by_ns` it never returns when the
        condition is never met; time does not wait for it."""
        details = {"after_ns": after_ns, "by_ns": by_ns, **condition_details(condition)}
        return int(await self._request("reach_seen", timeout_s=DAY_S, token=token, **details))

    async def release(self, token: int) -> None:
        """The token's holder wants no further stop."""
        await self._request("release", token=token)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[int]:
        """Time stands: at once if it does already, else as soon as possible. Yields when that is."""
        token = next(self._own_tokens)
        try:
            yield int(await self._request("stand", timeout_s=DAY_S, token=token))
        finally:
            with anyio.CancelScope(shield=True):
                await self._request("leave", token=token)

    async def command(self, device: str, kind: str, *, address: int = 0, data: bytes = b"", size: int = 0) -> bytes:
        """Have a guest do something where time stands, and nothing else; returns its reply.

        `console` types `data`; `write` and `flip` (reply: the bytes before, then those after) change memory at the
        physical `address` by `data`, `read` replies `size` bytes of it; `cut` has its power go at store number `data`
        (four bytes, the highest first; 0: at none any more) into the `size` bytes there; `reset`, `nmi`, `pause`,
        `resume`.
        """
        details: dict[str, Any] = {"address": address, "data": data.hex(), "size": size}
        answer = await self._request("command", timeout_s=DAY_S, device=device, kind=kind, **details)
        return bytes.fromhex(answer)

    @asynccontextmanager
    async def hold(self, device: str) -> AsyncIterator[int]:
        """Stop a guest's machine outside of virtual time, so that its monitor, gdb and snapshots work; the guest does
        not notice. Time stands meanwhile; yields when that is."""
        async with self.standing() as now_ns:
            await self._request("hold", timeout_s=DAY_S, device=device)
            try:
                yield now_ns
            finally:
                with anyio.CancelScope(shield=True):
                    await self._request("let_go", device=device)

    async def detach(self, device: str) -> None:
        """The guest's emulator has been killed: what is sent to it from now on is lost. While time stands, it can have
        another one, which begins then: see `renew_port`."""
        await self._request("detach", device=device)

    async def whereabouts(self, device: str) -> Mapping[str, Any]:
        """Where a guest was last seen: `t_ns`, `pc` (program counter), whether its end was orderly (`parted`), and
        when it acts next unless something reaches it (`deadline_ns`). `with_more`: when it was last held, there was
        more to it than the state of its machine."""
        answer: Mapping[str, Any] = await self._request("whereabouts", device=device)
        return answer

    async def quiet_ns(self) -> int:
        """How long from now on nothing happens anywhere, unless somebody does something; 0 while somebody is at work.
        While time stands."""
        return int(await self._request("quiet"))

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
