"""`replay`: a finished run, or one node of it, lives again and is compared with what it was."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.cli.compared import tell_comparison
from swarmrig.cli.failures import describe_failure
from swarmrig.cli.output import say, say_json_line
from swarmrig.cli.signals import interruption
from swarmrig.model.units import NS_PER_S
from swarmrig.plugins import Registry
from swarmrig.replay.alone import SoloOptions, replay_node
from swarmrig.replay.comparison import Comparison
from swarmrig.replay.finished import open_finished
from swarmrig.replay.relive import Debugging, Halt
from swarmrig.replay.runs import RepeatOptions, compare_runs, repeat_run
from swarmrig.runtime.waiting import first_of


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """What to replay and how, as the command line says it."""

    run: Path
    node: str | None
    gdb_port: int | None
    at_ns: int
    anyway: bool
    output_dir: Path


def replay(choice: ReplayChoice, *, as_json: bool) -> int:
    """Replay and tell; returns the exit code."""
    return _told(lambda: anyio.run(_replay, choice), as_json=as_json)


def diff(left: Path, right: Path, *, anyway: bool, as_json: bool) -> int:
    """Compare two finished runs and tell; returns the exit code."""
    return _told(lambda: compare_runs(open_finished(left), open_finished(right), anyway=anyway), as_json=as_json)


def _told(compare: Callable[[], Comparison], *, as_json: bool) -> int:
    try:
        return tell_comparison(compare(), as_json=as_json)
    except BaseException as error:
        if as_json:
            say_json_line({"kind": "error", "errors": describe_failure(error)})
        raise


async def _replay(choice: ReplayChoice) -> Comparison:
    finished, registry = open_finished(choice.run), Registry.load()
    found: list[Comparison | None] = []
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            if choice.node is None:
                options = RepeatOptions(choice.output_dir, interrupt=interrupt, anyway=choice.anyway)
                found.append(await repeat_run(finished, registry, options))
            else:
                debugging = None if choice.gdb_port is None else Debugging(choice.gdb_port, choice.at_ns)
                solo = SoloOptions(choice.output_dir, debugging, _tell_halt)
                node = choice.node
                await _unless(interrupt, lambda: _kept(replay_node(finished, node, registry, solo), found))
    if not found or found[0] is None:
        raise KeyboardInterrupt
    return found[0]


async def _kept(made: Awaitable[Comparison], found: list[Comparison | None]) -> None:
    found.append(await made)


async def _unless(interrupt: anyio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work, or cancel it when it is interrupted."""
    done = anyio.Event()

    async def labour() -> None:
        await work()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(labour)
        await first_of(done, interrupt)
        tasks.cancel_scope.cancel()


def _tell_halt(halt: Halt) -> None:
    """On stderr: stdout is for the comparison."""
    words = [
        "gdb-multiarch",
        *([str(halt.firmware)] if halt.firmware else []),
        "-ex",
        f"target remote 127.0.0.1:{halt.port}",
    ]
    lines = (
        f"{halt.node} stands at {halt.t_ns / NS_PER_S:.9f} s, pc {halt.pc:#x}. Attach with",
        f"  {shlex.join(words)}",
        "and let it go on with `continue` or `detach`; virtual time stands still at breakpoints.",
    )
    for line in lines:
        say(line, stream=sys.stderr)
