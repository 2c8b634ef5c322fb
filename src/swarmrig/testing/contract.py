"""The contract of a node backend, as tests: every backend passes them, ours and anybody's.

    from swarmrig.testing import NODE_CONTRACT, NodeCase

    CASE = NodeCase(backend=MyBackend, spec=NodeSpec(id="n1", number=1, kind="mine"), boots=r"ready")

    @pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
    def test_contract(clause, tmp_path):
        anyio.run(clause, CASE, tmp_path)

A clause that breaks raises AssertionError and says what the contract asks for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api import nodes
from swarmrig.api.nodes import HasMemory, Node, NodeBackend
from swarmrig.errors import NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec
from swarmrig.testing.workbench import Trace, Workbench, open_workbench, scenario_of

CAPABILITIES: dict[str, Any] = {
    name: protocol for name, protocol in vars(nodes).items() if name.startswith(("Can", "Has"))
}
NOTICED_S = 1.0
"""How soon the end of a node must be noticed."""
STOPPED_S = 5.0


@dataclass(frozen=True, slots=True)
class NodeCase:
    """A node to hold against the contract. Patterns are regular expressions for lines of its console."""

    backend: Callable[[], NodeBackend]
    spec: NodeSpec
    boots: str
    """What it says when it has booted; each boot says it once."""
    alive: str | None = None
    """What it says again and again while it runs; None: it sends frames again and again. At least once in
    `quiet_s`."""
    dialogue: tuple[bytes, str] | None = None
    """Something to type, and what it answers; needed with HasConsole."""
    memory: int | None = None
    """Address of eight bytes that can be overwritten without harm; needed with HasMemory."""
    deadline_s: float = 20.0
    quiet_s: float = 1.0


async def plans_without_side_effects(case: NodeCase, directory: Path) -> None:
    """`plan` may be asked any number of times: it starts nothing, writes nothing, and answers the same."""
    backend, scenario = case.backend(), scenario_of(case.spec)
    before = _traces_of_activity()
    first = await backend.plan(case.spec, scenario)
    second = await backend.plan(case.spec, scenario)
    _require(first == second, f"two plans of one node are equal; they are {first} and {second}")
    _require(first.spec == case.spec, "the plan holds the node's own specification")
    _require(_traces_of_activity() == before, "planning leaves no descriptor and no task behind")
    _require(_is_empty(directory), "planning writes no file")
    _require(first.capabilities <= set(CAPABILITIES), f"capabilities are names of {sorted(CAPABILITIES)}")
    json.dumps(dict(first.details))


async def has_described_options(case: NodeCase, directory: Path) -> None:  # noqa: ARG001 - same shape for all
    """Options are a pydantic model that refuses unknown keys and describes each of its own."""
    model: Any = case.backend().options_model
    schema = model.model_json_schema()
    _require(schema.get("additionalProperties") is False, 'unknown options are refused (extra="forbid")')
    for name, field in schema.get("properties", {}).items():
        _require(bool(field.get("description")), f"the option {name!r} has a description")
    _require(bool(case.backend().kind), "the backend names its kind")


async def boots_and_says_so(case: NodeCase, directory: Path) -> None:
    """The console tells of the boot, chunk by chunk with rising times, and is logged raw."""
    async with _running(case, directory) as (bench, node, trace):
        _require(node.spec == case.spec, "a running node knows its specification")
        times = trace.times_ns
        _require(times == sorted(times) and times[0] >= 0, "console times rise, from the start of the run")
        _require(times[-1] <= bench.now_ns(), "console times are not in the future")
        _require(trace.count(case.boots) == 1, "one boot is told once")
    log, plan = directory / "nodes" / case.spec.id / "console.log", bench.plans[case.spec.id]
    if plan.command and plan.port is not PortKind.PYTHON:  # else whoever runs the network logs its console
        _require(log.read_bytes() == bytes(trace.console), "console.log is what the console said, byte by byte")


async def has_its_capabilities(case: NodeCase, directory: Path) -> None:
    """A node offers exactly the capabilities that its plan names."""
    async with _running(case, directory) as (bench, node, _):
        offered = {name for name, protocol in CAPABILITIES.items() if isinstance(node, protocol)}
        planned = set(bench.plans[case.spec.id].capabilities)
        _require(offered == planned, f"planned {sorted(planned)}, offered {sorted(offered)}")


async def answers_its_console(case: NodeCase, directory: Path) -> None:
    """HasConsole: what is typed reaches the node."""
    async with _capable(case, directory, "HasConsole") as found:
        if found:
            _, node, trace = found
            _require(case.dialogue is not None, "NodeCase.dialogue is needed to try HasConsole")
            question, answer = case.dialogue or (b"", "")
            before = trace.count(answer)
            await node.write_console(question)
            await trace.wait_for_console(answer, count=before + 1, deadline_s=case.deadline_s)


async def pauses_and_resumes(case: NodeCase, directory: Path) -> None:
    """CanPause: a paused node says nothing; it goes on where it was."""
    async with _capable(case, directory, "CanPause") as found:
        if found:
            _, node, trace = found
            await _sign_of_life(case, trace)
            await node.pause()
            await _silence(trace, case.quiet_s)
            await node.resume()
            await _sign_of_life(case, trace)
            _require(trace.count(case.boots) == 1, "resuming is no reboot")


async def resets(case: NodeCase, directory: Path) -> None:
    """CanReset: the node boots again, and again."""
    async with _capable(case, directory, "CanReset") as found:
        if found:
            _, node, trace = found
            for boots in (2, 3):
                await node.reset()
                await trace.wait_for_console(case.boots, count=boots, deadline_s=case.deadline_s)


async def gives_its_memory(case: NodeCase, directory: Path) -> None:
    """HasMemory: what is written can be read, and the node lives on."""
    async with _capable(case, directory, "HasMemory") as found:
        if found:
            _, node, _ = found
            _require(case.memory is not None, "NodeCase.memory is needed to try HasMemory")
            address = case.memory or 0
            for data in (b"\x00\xff\x55\xaa\x01\x02\x03\x04", b"swarmrig"):
                await node.write_memory(address, data)
                _require(await node.read_memory(address, len(data)) == data, f"memory at {address:#x} keeps {data!r}")
            _require(await node.read_memory(address + 1, 3) == b"war", "memory can be read from any address")
            flipped = bytes(each ^ 0x81 for each in b"swarmrig")
            for before, after in ((b"swarmrig", flipped), (flipped, b"swarmrig")):
                told = await node.flip_memory(address, b"\x81" * 8)
                _require(told == (before, after), f"a flip tells the bytes before and after; it told {told}")
                _require(await node.read_memory(address, 8) == after, "a flip changes the memory")


async def cycles_its_power(case: NodeCase, directory: Path) -> None:
    """CanPowerCycle: without power the node is silent and has not ended; with power it boots, at its old place."""
    async with _capable(case, directory, "CanPowerCycle") as found:
        if found:
            _, node, trace = found
            await _refused(node.power_on, "the power of a node that is on cannot be switched on")
            async with anyio.create_task_group() as tasks:
                ended = anyio.Event()
                tasks.start_soon(_set_when_exited, node, ended)
                for boots in (2, 3):
                    await node.power_off()
                    await _refused(node.power_off, "the power of a node that is off cannot be switched off")
                    await _silence(trace, case.quiet_s)
                    await node.power_on()
                    await trace.wait_for_console(case.boots, count=boots, deadline_s=case.deadline_s)
                await _sign_of_life(case, trace)
                _require(not ended.is_set(), "a node without power has not ended")
                tasks.cancel_scope.cancel()
            log = directory / "nodes" / case.spec.id / "console.log"
            _require(log.read_bytes() == bytes(trace.console), "console.log goes on in the same file")


async def has_its_flash(case: NodeCase, directory: Path) -> None:
    """HasFlash: the image is a file, and what is written into it while the power is off is there when it is on."""
    async with _capable(case, directory, "HasFlash") as found:
        if found:
            _, node, trace = found
            _require(node.flash_path.is_file(), f"the flash image {node.flash_path} is a file")
            size = node.flash_path.stat().st_size
            await node.power_off()
            _rewrite_last_byte(node.flash_path, 0x5A)
            await node.power_on()
            await trace.wait_for_console(case.boots, count=2, deadline_s=case.deadline_s)
            _require(node.flash_path.stat().st_size == size, "flash does not grow")
            base = node.flash_base
            if isinstance(node, HasMemory) and base is not None:
                last = await node.read_memory(base + size - 1, 1)
                _require(last == b"\x5a", f"the node's flash is the image: its last byte is {last!r}")


async def notices_its_end(case: NodeCase, directory: Path) -> None:
    """CanKill: the end is noticed at once, told truly, and can be asked for again."""
    async with _capable(case, directory, "CanKill") as found:
        if found:
            _, node, _ = found
            with anyio.fail_after(NOTICED_S):
                await node.kill()
                status = await node.wait_exited()
            _require(status.signal is not None or status.code != 0, f"a killed node did not end well: {status}")
            _require(await node.wait_exited() == status, "the end can be asked for again")
            _require(isinstance(node.last_words(), str), "a dead node has last words, if only the empty ones")


async def runs_on_by_itself(case: NodeCase, directory: Path) -> None:
    """A healthy node does not end by itself."""
    async with _running(case, directory) as (_, node, _):
        with anyio.move_on_after(case.quiet_s):
            status = await node.wait_exited()
            raise AssertionError(f"the node ended by itself: {status}; its last words: {node.last_words()}")


async def stops_and_leaves_nothing(case: NodeCase, directory: Path) -> None:
    """When its context ends, so does the node: soon, with its processes, descriptors and tasks, also after an error."""
    async with open_workbench(directory, case.backend(), case.spec) as bench:
        before = _traces_of_activity()
        async with _booted(bench, case):
            pass
        with anyio.fail_after(STOPPED_S):
            try:
                async with _booted(bench, case):
                    raise _InterruptionError
            except* _InterruptionError:
                pass
        after = _traces_of_activity()
        _require(after == before, f"nothing is left open: before {before}, after {after}")


async def lives_beside_another(case: NodeCase, directory: Path) -> None:
    """Two nodes of one backend share nothing: one ends, the other goes on."""
    other = replace(case.spec, id=f"{case.spec.id}-2", number=case.spec.number + 1)
    async with open_workbench(directory, case.backend(), case.spec, other) as bench:
        async with bench.node(case.spec.id):
            async with bench.node(other.id):
                for name in (case.spec.id, other.id):
                    await bench.trace(name).wait_for_console(case.boots, deadline_s=case.deadline_s)
            said = bench.trace(case.spec.id).count(case.alive or case.boots)
            if case.alive:
                await bench.trace(case.spec.id).wait_for_console(case.alive, count=said + 1, deadline_s=case.deadline_s)


Clause = Callable[[NodeCase, Path], Awaitable[None]]

NODE_CONTRACT: tuple[Clause, ...] = (
    plans_without_side_effects,
    has_described_options,
    boots_and_says_so,
    has_its_capabilities,
    answers_its_console,
    pauses_and_resumes,
    resets,
    gives_its_memory,
    cycles_its_power,
    has_its_flash,
    notices_its_end,
    runs_on_by_itself,
    stops_and_leaves_nothing,
    lives_beside_another,
)
"""Each takes a case and an empty directory."""


async def node_contract(case: NodeCase, directory: Path) -> None:
    """All clauses in turn, each in a directory of its own; the first that breaks raises AssertionError."""
    for clause in NODE_CONTRACT:
        name = getattr(clause, "__name__", "clause")
        place = directory / name
        place.mkdir()
        await clause(case, place)


class _InterruptionError(Exception):
    """Stands for whatever may go wrong while a node runs."""


@asynccontextmanager
async def _booted(bench: Workbench, case: NodeCase) -> AsyncIterator[Node]:
    trace = bench.trace()
    hosted = bench.plans[case.spec.id].port is PortKind.PYTHON  # it lives, and boots, with the network
    boots = 0 if hosted else trace.count(case.boots)
    async with bench.node() as node:
        await trace.wait_for_console(case.boots, count=boots + 1, deadline_s=case.deadline_s)
        yield node


@asynccontextmanager
async def _running(case: NodeCase, directory: Path) -> AsyncIterator[tuple[Workbench, Node, Trace]]:
    async with open_workbench(directory, case.backend(), case.spec) as bench:
        async with _booted(bench, case) as node:
            yield bench, node, bench.trace()


@asynccontextmanager
async def _capable(
    case: NodeCase, directory: Path, capability: str
) -> AsyncIterator[tuple[Workbench, Any, Trace] | None]:
    """A running node, or None when its plan does not name the capability: then there is nothing to hold it to."""
    plan = await case.backend().plan(case.spec, scenario_of(case.spec))
    if capability not in plan.capabilities:
        yield None
        return
    async with _running(case, directory) as found:
        yield found


async def _sign_of_life(case: NodeCase, trace: Trace) -> None:
    """Something new that the node says, or sends."""
    if case.alive:
        count = trace.count(case.alive) + 1
        await trace.wait_for_console(case.alive, count=count, deadline_s=case.deadline_s)
    else:
        frames = trace.frame_count
        await trace.wait_for(lambda: trace.frame_count > frames, "frame from the node", case.deadline_s)


async def _silence(trace: Trace, seconds: float) -> None:
    """Nothing new for so long; what was under way before may still come within the first half of it."""
    await anyio.sleep(seconds / 2)
    said, sent = len(trace.console), trace.frame_count
    await anyio.sleep(seconds)
    _require(len(trace.console) == said, f"a paused node is silent, but said {bytes(trace.console[said:])!r}")
    _require(trace.frame_count == sent, f"a paused node sends nothing, but sent {trace.frame_count - sent} frames")


async def _refused(action: Callable[[], Awaitable[None]], clause: str) -> None:
    try:
        await action()
    except NodeError:
        return
    _require(False, clause)


async def _set_when_exited(node: Node, event: anyio.Event) -> None:
    await node.wait_exited()
    event.set()


def _rewrite_last_byte(path: Path, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([value]))


def _is_empty(directory: Path) -> bool:
    return next(directory.iterdir(), None) is None


def _traces_of_activity() -> tuple[list[str], int]:
    """What this process holds open (by kind and target), and how many tasks it runs."""
    targets = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # the listing's own descriptor
        targets.append(target.split(":")[0] if target.startswith(("socket:", "pipe:")) else target)
    return sorted(targets), len(asyncio.all_tasks())


def _require(condition: bool, clause: str) -> None:
    if not condition:
        raise AssertionError(f"contract broken: {clause}")
