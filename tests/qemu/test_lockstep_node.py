"""What is done to a node in virtual time happens at exactly the time at which time stands, and every time the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from virtual_swarm import HUB, MS, SENSOR, S, Swarm, swarm

from swarmrig.api.nodes import CanKill, CanPause, CanPowerCycle, CanReset, HasConsole, HasFlash, HasMemory, HasNmi
from swarmrig.errors import NodeError
from swarmrig.nodes.qemu.firmware import firmware_path

pytestmark = pytest.mark.anyio

RAM = 0x80F0_0000
NOWHERE = 0x6000_0000
CODE = 0x8000_1000
AT = 2 * S + 1234567


async def test_its_capabilities_are_those_of_its_plan(tmp_path: Path) -> None:
    known = (CanKill, CanPause, CanPowerCycle, CanReset, HasConsole, HasFlash, HasMemory, HasNmi)
    async with swarm(tmp_path) as made:
        offered = {each.__name__ for each in known if isinstance(made.nodes["s1"], each)}
        assert offered == made.plans["s1"].capabilities == {each.__name__ for each in known} - {"HasNmi"}
        assert made.nodes["s1"].flash_path == tmp_path / "nodes" / "s1" / "flash.bin"
        assert made.nodes["s1"].flash_base == 0x2200_0000
        assert not hasattr(made.nodes["s1"], "nmi")


async def typed(made: Swarm) -> None:
    await made.nodes["s1"].write_console(b"stats\r")


async def reset(made: Swarm) -> None:
    await made.nodes["s1"].reset()


async def paused(made: Swarm) -> None:
    await made.nodes["s1"].pause()
    await made.until(AT + S)
    await made.nodes["s1"].resume()


async def flipped(made: Swarm) -> None:
    await made.nodes["s1"].flip_memory(CODE, b"\x01" * 0x4000)


async def killed(made: Swarm) -> None:
    await made.nodes["s1"].kill()


async def power_cycled(made: Swarm) -> None:
    await made.nodes["s1"].power_off()
    await made.until(AT + S)
    await made.nodes["s1"].power_on()


async def held(made: Swarm) -> None:
    async with made.nodes["s1"].held() as emulator:
        assert (await emulator.monitor.execute("query-status"))["status"] == "paused"


async def nothing(made: Swarm) -> None:
    pass


async def life(directory: Path, act: Callable[[Swarm], Awaitable[None]], latency_ns: int = 5 * MS, *stops: int) -> str:
    """The digest of three seconds in which something is done to the sensor, with stops on the way."""
    async with swarm(directory, latency_ns=latency_ns) as made:
        for stop in sorted(stops):
            await made.until(stop)
        assert await made.until(AT) == AT
        await act(made)
        await made.until(AT + 3 * S)
        return await made.digest()


@pytest.mark.parametrize("act", [typed, reset, paused, flipped, killed, power_cycled], ids=lambda act: act.__name__)
async def test_what_is_done_has_an_effect_and_always_the_same(tmp_path: Path, act: Any) -> None:
    first = await life(tmp_path / "a", act)
    assert await life(tmp_path / "b", act, 5 * MS, 777_777, S, S + 1, AT - 1) == first
    assert await life(tmp_path / "c", nothing) != first


async def test_a_hold_leaves_no_trace(tmp_path: Path) -> None:
    assert await life(tmp_path / "a", held) == await life(tmp_path / "b", nothing)
