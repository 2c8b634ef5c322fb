"""Whatever is done to a fleet, in whatever order and how close together: the same bytes, also with stops in between."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from virtual_swarm import HUB, MS, SENSOR, S, Swarm, swarm

from swarmrig.model.scenario import NodeSpec

pytestmark = pytest.mark.anyio

OTHER = NodeSpec("s2", 3, scenario=3, tdm_slot=2)
KINDS = ("type", "reset", "flip", "pause", "resume", "power", "hold", "link", "read")


@dataclass(frozen=True)
class Deed:
    t_ns: int
    node: str
    kind: str
    number: int


def deeds(seed: int) -> list[Deed]:
    rng, t_ns, found = random.Random(seed), 0, []
    for _ in range(10):
        t_ns += rng.choice([0, 1, 999_999, rng.randrange(S // 2), rng.randrange(50 * MS)])
        found.append(Deed(t_ns, rng.choice(["hub", "s1", "s2"]), rng.choice(KINDS), rng.randrange(1 << 20)))
    return found


async def do(made: Swarm, deed: Deed, off: set[str]) -> None:
    node = made.nodes[deed.node]
    if deed.kind == "power":
        await (node.power_on() if deed.node in off else node.power_off())
        off ^= {deed.node}
    elif deed.kind == "link":
        await made.network.set_link("hub--s1", {"latency_ns": MS + deed.number * 20})
    elif deed.node in off:
        return
    elif deed.kind == "type":
        await node.write_console(b"stats\r")
    elif deed.kind == "flip":
        await node.flip_memory(0x8010_0000 + deed.number, b"\x01")
    elif deed.kind == "read":
        await node.read_memory(0x8000_0000 + deed.number, 64)
    elif deed.kind == "hold":
        async with node.held() as emulator:
            await emulator.monitor.execute("query-status")
    else:
        await {"reset": node.reset, "pause": node.pause, "resume": node.resume}[deed.kind]()


async def life(directory: Path, seed: int, stops: list[int]) -> str:
    off: set[str] = set()
    async with swarm(directory, HUB, SENSOR, OTHER, latency_ns=random.Random(seed).choice([1, 5, 20]) * MS) as made:
        for at in sorted(
            [*((deed.t_ns, deed) for deed in deeds(seed)), *((t, None) for t in stops)], key=lambda at: at[0]
        ):
            assert await made.until(at[0]) == at[0]
            if at[1] is not None:
                await do(made, at[1], off)
        await made.until(deeds(seed)[-1].t_ns + S)
        assert (await made.collect())["failure"] is None
        return await made.digest()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_done(tmp_path: Path, seed: int) -> None:
    last_ns = deeds(seed)[-1].t_ns
    stops = [random.Random(seed).randrange(last_ns) for _ in range(6)]
    assert await life(tmp_path / "a", seed, []) == await life(tmp_path / "b", seed, stops)
