"""A contract that nothing breaks proves nothing: backends that lie or leak, and the clause that must notice."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from swarmrig.api import ExitStatus
from swarmrig.model.scenario import NodeSpec
from swarmrig.testing import NodeCase, contract, node_contract

SOURCE = Path(__file__).parents[1] / "plugins/acme-swarm/src"
sys.path.insert(0, str(SOURCE))
try:
    from acme_swarm import node as acme
finally:
    sys.path.remove(str(SOURCE))
    for name in [name for name in sys.modules if name.split(".")[0] == "acme_swarm"]:
        del sys.modules[name]

COMMAND = (sys.executable, str(SOURCE / "acme_swarm/device.py"))
CASE = NodeCase(
    backend=acme.ProgramBackend,
    spec=NodeSpec(id="a", number=1, kind="acme-program", options={"command": COMMAND}),
    boots="^ready at 10",
    dialogue=(b"hello\n", r"^what\?"),
    quiet_s=0.3,
    deadline_s=2.5,
)


def broken(clause: Callable[[NodeCase, Path], Awaitable[None]], case: NodeCase, place: Path) -> str:
    with pytest.raises((AssertionError, TimeoutError)) as caught:
        anyio.run(clause, case, place)
    return str(caught.value)


def backend_of(node_class: type) -> Callable[[], Any]:
    """The program backend, with nodes of another class."""

    class Backend(acme.ProgramBackend):
        @asynccontextmanager
        async def open(self, plan: Any, context: Any) -> AsyncIterator[Any]:
            async with super().open(plan, context) as node:
                yield node_class(node.spec, node._process, node._console)

    return Backend


def lying(**methods: Any) -> NodeCase:
    return replace(CASE, backend=backend_of(type("Liar", (acme.ProgramNode,), methods)))


async def nothing(self: Any, *_: Any) -> None:
    """What a method does that only pretends."""


async def never(self: Any) -> ExitStatus:
    await anyio.sleep_forever()
    raise AssertionError


async def well(self: Any) -> ExitStatus:
    return ExitStatus(0, None)


def test_the_honest_one_passes_as_a_whole(tmp_path: Path) -> None:
    anyio.run(node_contract, replace(CASE, deadline_s=20.0), tmp_path)


def test_a_pause_that_does_nothing(tmp_path: Path) -> None:
    assert "a paused node is silent" in broken(contract.pauses_and_resumes, lying(pause=nothing), tmp_path)


def test_a_resume_that_does_nothing(tmp_path: Path) -> None:
    assert "no frame from the node" in broken(contract.pauses_and_resumes, lying(resume=nothing), tmp_path)


def test_a_console_that_takes_nothing(tmp_path: Path) -> None:
    assert "no console output" in broken(contract.answers_its_console, lying(write_console=nothing), tmp_path)


@pytest.mark.parametrize("methods", [{"kill": nothing}, {"wait_exited": never}])
def test_an_end_that_is_not_noticed(tmp_path: Path, methods: dict[str, Any]) -> None:
    broken(contract.notices_its_end, lying(**methods), tmp_path)


def test_an_end_that_is_told_wrongly(tmp_path: Path) -> None:
    assert "did not end well: exit 0" in broken(contract.notices_its_end, lying(wait_exited=well), tmp_path)


def test_a_node_that_ends_by_itself(tmp_path: Path) -> None:
    assert "ended by itself: exit 0" in broken(contract.runs_on_by_itself, lying(wait_exited=well), tmp_path)


@pytest.mark.parametrize("methods", [{"reset": nothing}, {"pause": None, "resume": None}])
def test_capabilities_that_were_not_planned_or_are_not_there(tmp_path: Path, methods: dict[str, Any]) -> None:
    case = lying(**methods)
    if None in methods.values():

        class Modest(acme.ProgramBackend):
            async def plan(self, spec: Any, scenario: Any) -> Any:
                plan = await super().plan(spec, scenario)
                return replace(plan, capabilities=plan.capabilities | {"HasMemory"})

        case = replace(case, backend=Modest)
    assert "planned" in broken(contract.has_its_capabilities, case, tmp_path)


def test_a_reset_that_does_nothing(tmp_path: Path) -> None:
    class Backend(backend_of(type("Liar", (acme.ProgramNode,), {"reset": nothing}))):  # type: ignore[misc]
        async def plan(self, spec: Any, scenario: Any) -> Any:
            plan = await super().plan(spec, scenario)
            return replace(plan, capabilities=plan.capabilities | {"CanReset"})

    assert "(2 x)" in broken(contract.resets, replace(CASE, backend=Backend), tmp_path)


def test_a_console_that_is_not_logged(tmp_path: Path) -> None:
    class Backend(acme.ProgramBackend):
        @asynccontextmanager
        async def open(self, plan: Any, context: Any) -> AsyncIterator[Any]:
            async with super().open(plan, context) as node:
                yield node
            (context.directory / "console.log").write_bytes(b"")

    assert "byte by byte" in broken(contract.boots_and_says_so, replace(CASE, backend=Backend), tmp_path)


def test_a_node_that_does_not_boot(tmp_path: Path) -> None:
    assert "no console output" in broken(contract.boots_and_says_so, replace(CASE, boots="never said"), tmp_path)


def test_a_plan_with_side_effects(tmp_path: Path) -> None:
    class Backend(acme.ProgramBackend):
        async def plan(self, spec: Any, scenario: Any) -> Any:
            (tmp_path / "cache").touch()
            return await super().plan(spec, scenario)

    assert "writes no file" in broken(contract.plans_without_side_effects, replace(CASE, backend=Backend), tmp_path)


def test_a_plan_that_changes(tmp_path: Path) -> None:
    class Backend(acme.ProgramBackend):
        async def plan(self, spec: Any, scenario: Any) -> Any:
            return replace(await super().plan(spec, scenario), details={"id": os.urandom(4).hex()})

    assert "two plans" in broken(contract.plans_without_side_effects, replace(CASE, backend=Backend), tmp_path)


def test_options_that_take_anything(tmp_path: Path) -> None:
    class Anything(BaseModel):
        command: tuple[str, ...]

    class Backend(acme.ProgramBackend):
        options_model = Anything

    assert "unknown options" in broken(contract.has_described_options, replace(CASE, backend=Backend), tmp_path)


def test_what_is_left_open(tmp_path: Path) -> None:
    held: list[Any] = []

    class Backend(acme.ProgramBackend):
        @asynccontextmanager
        async def open(self, plan: Any, context: Any) -> AsyncIterator[Any]:
            held.extend(socket.socketpair())
            held.append(asyncio.ensure_future(anyio.sleep(0)))
            async with super().open(plan, context) as node:
                yield node

    text = broken(contract.stops_and_leaves_nothing, replace(CASE, backend=Backend), tmp_path)
    for one in held:
        if isinstance(one, socket.socket):
            one.close()
    assert "nothing is left open" in text


def test_a_case_that_does_not_say_how_to_try_a_capability(tmp_path: Path) -> None:
    assert "NodeCase.dialogue" in broken(contract.answers_its_console, replace(CASE, dialogue=None), tmp_path)
