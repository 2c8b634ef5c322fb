"""Every kind of fault, done to a swarm in which nothing happens: whatever the calls return, that is no proof."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from test_fault_kinds import BUILT_IN, INSTALLED

from swarmrig.api import FaultContext, FaultSkippedError, Proof, ProofStatus
from swarmrig.cli.fault_kinds import describe_kind
from swarmrig.errors import SwarmrigError
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.runtime.plan import RunPlan, make_plan
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

HEAD = "swarmrig: 1\nnodes: {a: {role: coordinator}, b: , c: }\nnetwork: {topology: mesh}\n"
S = 1_000_000_000


class Done:
    """To be awaited, to be entered, or neither."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def __await__(self) -> Iterator[Any]:
        yield from ()
        return self._now_ns

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


class Obliging:
    """Says yes to everything and does nothing."""

    def __init__(self, clock: Callable[[], int], directory: Path) -> None:
        self._clock = clock
        self.flash_path = directory / "flash.bin"
        self.flash_base = 0x2000_0000

    async def read_memory(self, address: int, size: int) -> bytes:
        return bytes(size)

    async def flip_memory(self, address: int, mask: bytes) -> tuple[bytes, bytes]:
        return bytes(len(mask)), mask

    async def recorded_frames(self, link: str, sender_end: str, since_ns: int) -> list[tuple[int, bytes]]:
        return [(self._clock() - S // 2, bytes(60))]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        return lambda *_, **__: Done(self._clock())


class Others:
    async def heal(self, fault: str) -> None: ...

    def reached(self, fault: str, stage: FaultStage) -> bool:
        return stage is FaultStage.INJECTED


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    scenario = load_text(HEAD, Origin("t.yml", Path.cwd(), "t"), registry=INSTALLED)
    return anyio.run(make_plan, scenario, INSTALLED)


def spec_of(kind: str) -> tuple[FaultSpec, Scenario]:
    text = f"{HEAD}faults: [{describe_kind(kind, INSTALLED).example}]\n"
    scenario = load_text(text, Origin("t.yml", Path.cwd(), "t"), registry=INSTALLED)
    return next(spec for spec in scenario.faults if spec.kind == kind), scenario


async def live(fault: Any, spec: FaultSpec, set_clock: Callable[[int], None]) -> None:
    """As far as it goes."""
    assert spec.at_ns is not None
    set_clock(spec.at_ns)
    try:
        await fault.inject()
        if not getattr(type(fault), "heals", True):
            return
        end_ns = spec.at_ns + (spec.for_ns or S)
        if hasattr(fault, "hold"):
            await fault.hold(end_ns)
        set_clock(end_ns)
        await fault.heal()
    except (FaultSkippedError, SwarmrigError):
        return


@pytest.mark.parametrize("kind", BUILT_IN)
def test_it_is_not_proved(kind: str, plan: RunPlan, tmp_path: Path) -> None:
    spec, scenario = spec_of(kind)
    now = [0]

    def set_clock(t_ns: int) -> None:
        now[0] = max(now[0], t_ns)

    async def wait_until(t_ns: int) -> None:
        set_clock(t_ns)

    obliging = Obliging(lambda: now[0], tmp_path)
    obliging.flash_path.write_bytes(b"\xff" * (4 << 20))
    stages: list[FaultStage] = []
    context = FaultContext(
        scenario=scenario,
        network=plan.network,
        links=obliging,  # type: ignore[arg-type]
        nodes=dict.fromkeys("abc", obliging),
        now_ns=lambda: now[0],
        emit=lambda stage, data: stages.append(stage),
        random=random.Random(0),
        wait_until=wait_until,
        faults=Others(),
        plans={node.spec.id: node for node in plan.nodes},
    )
    fault = INSTALLED.fault(kind)(spec, context)
    anyio.run(live, fault, spec, set_clock)
    getattr(fault, "conclude", lambda: None)()
    proof: Proof = fault.proved()
    assert proof.status is not ProofStatus.PROVED, proof.message
    assert proof.message
    assert FaultStage.OBSERVED not in stages
