"""`watch` and `console`: a run that another process leads, as if it were ours."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import anyio

from swarmrig.cli.failures import EXIT_BROKEN
from swarmrig.cli.keyboard import typed
from swarmrig.cli.output import harmless, say
from swarmrig.cli.signals import interruption
from swarmrig.cli.view import open_view
from swarmrig.errors import SwarmrigError, leaves_of
from swarmrig.model.console import without_colours
from swarmrig.model.verdict import EXIT_INTERRUPTED
from swarmrig.replay.shelf import ShelvedRun, State, find_run, shelf
from swarmrig.runtime.attach import Attachment, attached
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot
from swarmrig.scenario.problems import listing, suggest

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ConsoleChoice:
    """What the command line says."""

    run: str
    node: str
    last: int | None
    lines: tuple[str, ...]
    output_dir: Path


def watch_run(named: str, output: Path, *, as_json: bool) -> int:
    """Watch until it is over; returns its exit code."""
    run = _live_run(named, output)
    return _led(lambda: _watch(run, as_json=as_json))


def release_run(named: str, output: Path) -> int:
    """Let a frozen run go on."""
    run = _live_run(named, output)

    async def release() -> int:
        async with attached(run.id) as run_in_progress:
            await _asking(run_in_progress, lambda: run_in_progress.ask("release"))
        return 0

    return _led(release)


def _live_run(named: str, output: Path) -> ShelvedRun:
    run = find_run(named, output, live=True)
    if run.state is State.LIVE:
        return run
    going_on = [other.path.name for other in shelf(output) if other.state is State.LIVE]
    hint = f"in progress: {listing(going_on)}" if going_on else f"no run goes on; swarmrig runs show {run.path}"
    raise SwarmrigError(f"{harmless(str(run.path))} is over: {run.verdict}", hint=hint)


def show_console(choice: ConsoleChoice) -> int:
    """Show it, and type, until the console or its reader has ended."""
    run = find_run(choice.run, choice.output_dir, live=True)
    nodes = sorted(path.name for path in (run.path / "nodes").glob("*"))
    if choice.node not in nodes:
        raise SwarmrigError(
            f"{run.path.name} has no node {choice.node!r}: its nodes are {listing(nodes) or 'none'}",
            hint=suggest(choice.node, nodes),
        )
    transcript = Transcript(run.path / "nodes" / choice.node / "console.log", choice.last)
    if run.state is State.LIVE:
        return _led(lambda: _converse(run, choice, transcript))
    if choice.lines:
        raise SwarmrigError(f"{run.path} is over: nobody is there to type to")
    transcript.show()
    transcript.end()
    return 0


def _led(work: Callable[[], Awaitable[int]]) -> int:
    """Until it is done, or somebody interrupts: then 130."""
    codes = [EXIT_INTERRUPTED]

    async def lead() -> None:
        with anyio.CancelScope() as hurry:
            async with interruption(hurry) as interrupt, anyio.create_task_group() as tasks:

                async def labour() -> None:
                    codes[0] = await work()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(labour)
                await interrupt.wait()
                tasks.cancel_scope.cancel()

    try:
        anyio.run(lead)
    except BaseExceptionGroup as group:  # one task's error is what went wrong
        first = next(leaves_of(group))
        raise first from None
    return codes[0]


async def _watch(run: ShelvedRun, *, as_json: bool) -> int:
    last = Event(0, "", "")
    async with attached(run.id) as there:
        with open_view(there.programme, as_json=as_json, watched=True) as view:
            async for news in there.news():
                if isinstance(news, Event):
                    view.on_event(news)
                    last = news
                elif isinstance(news, Snapshot):
                    view.progress(news)
    if last.kind != "run.finished":
        raise SwarmrigError(f"{run.path.name} ended without a verdict", hint=f"see {run.path}")
    if not as_json:
        say(f"\n{harmless(there.programme.name)}: {last.data.get('verdict')}")
        say(f"results: {harmless(str(run.path))}/results.json")
    return int(last.data.get("exit_code", EXIT_BROKEN))


async def _asking(there: Attachment, work: Callable[[], Awaitable[Any]]) -> None:
    """Ask while somebody reads the answers."""
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            async for _ in there.news():
                pass

        tasks.start_soon(read)
        await work()
        tasks.cancel_scope.cancel()


async def _converse(run: ShelvedRun, choice: ConsoleChoice, transcript: Transcript) -> int:
    async with attached(run.id) as there, anyio.create_task_group() as tasks:

        async def type_in() -> None:
            await there.ask("listen", node=choice.node)
            for line in choice.lines:
                await there.ask("type", node=choice.node, text=f"{line}\n")
            async for chunk in typed():
                await there.ask("type", node=choice.node, text=chunk.decode("utf-8", "replace"))
            if sys.stdin.isatty():  # Ctrl-D
                tasks.cancel_scope.cancel()

        tasks.start_soon(type_in)
        async for news in there.news():
            if isinstance(news, str):
                transcript.show()
        transcript.show()
        tasks.cancel_scope.cancel()
    transcript.end()
    return 0


class Transcript:
    """A console.log, printed as far as it goes."""

    def __init__(self, log: Path, last: int | None) -> None:
        self._log = log
        self._last = last
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._file: IO[bytes] | None = None
        self._at_line_start = True

    def show(self) -> None:
        """What is new."""
        if self._file is None:
            if not self._log.exists():
                return
            self._file = self._log.open("rb")
            if self._last is not None:
                self._file.seek(_start_of_last(self._file, self._last))
        while chunk := self._file.read(_CHUNK):
            text = harmless(without_colours(self._decoder.decode(chunk)).replace("\r", ""))
            if text:
                sys.stdout.write(text)
                self._at_line_start = text.endswith("\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
        if not self._at_line_start:
            say("")


def _start_of_last(file: IO[bytes], lines: int) -> int:
    """Where the last so many lines begin."""
    position, found = file.seek(0, 2), -1
    while position > 0 and found < lines:
        step = min(_CHUNK, position)
        position = file.seek(position - step)
        chunk = file.read(step)
        for index in range(len(chunk) - 1, -1, -1):
            if chunk[index] == 0x0A:
                found += 1
                if found >= lines:
                    return position + index + 1
    return 0 if found < lines else position
