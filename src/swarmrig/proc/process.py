"""A running program of the run, how it is stopped, and the race between ready, exited and deadline."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError, NodeError
from swarmrig.proc.client import Client, RefusedError
from swarmrig.proc.words import last_words

T = TypeVar("T")

DYING_S = 0.25
"""How long a failed readiness probe waits for the process's death, which is the better explanation."""


@dataclass(frozen=True, slots=True)
class StopLadder:
    """How long each rung of stopping a process may take, in seconds."""

    polite_s: float = 2.0
    """For the caller's own polite request, and for the process to end after it."""
    term_s: float = 1.0
    """From SIGTERM (to the process group) to SIGKILL."""
    kill_s: float = 2.0
    """From SIGKILL to giving up: only a process stuck in the kernel gets there."""


class Process:
    """A child of the guardian, in a session and process group of its own.

    Made by `Spawner.process`, and stopped, with its whole group, when that context ends.
    """

    def __init__(self, client: Client, *, name: str, argv: tuple[str, ...], pid: int, start: int, stderr: Path) -> None:
        self.name = name
        self.argv = argv
        self.pid = pid
        self.start_time = start
        """Clock ticks since boot: with the pid, unique."""
        self.stderr_path = stderr
        self._client = client
        self._exit = client.exit_of(pid)

    @property
    def exit_status(self) -> ExitStatus | None:
        """None while it runs."""
        if not self._exit.done() or self._exit.cancelled() or self._exit.exception():
            return None
        return ExitStatus(*self._exit.result())

    async def wait(self) -> ExitStatus:
        """Return when the process has ended. HostError when the guardian died and nobody can know how."""
        return ExitStatus(*await asyncio.shield(self._exit))

    def last_words(self, lines: int = 20) -> str:
        """The last lines that it wrote to stderr, printable, "" if none."""
        return last_words(self.stderr_path, lines)

    def send_signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the process, or its whole group; nothing happens when it has ended."""
        if self._exit.done() and not group:
            return
        with suppress(ProcessLookupError):
            # The guardian keeps the process as a zombie until it is released: the pid is its own.
            (os.killpg if group else os.kill)(self.pid, number)

    async def _ended_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await asyncio.wait([self._exit])
        return self._exit.done()

    async def _stop(self, polite: Callable[[], Awaitable[object]] | None, ladder: StopLadder) -> None:
        """Climb the ladder until the process has ended, then see that its group has, too."""
        with anyio.CancelScope(shield=True):
            if self._client.lost:
                return  # all has been killed; the client reaps
            if not self._exit.done() and not await self._ask_politely(polite, ladder.polite_s):
                self.send_signal(signal.SIGTERM, group=True)
                self.send_signal(signal.SIGCONT, group=True)
                if not await self._ended_within(ladder.term_s):
                    self.send_signal(signal.SIGKILL, group=True)
                    await self._ended_within(ladder.kill_s)
            await self._release()

    async def _ask_politely(self, polite: Callable[[], Awaitable[object]] | None, seconds: float) -> bool:
        """True when the process ended. The request may fail or hang: its purpose is the end of the process."""
        if polite is None:
            return False
        request: asyncio.Future[object] = asyncio.ensure_future(polite())
        waited: tuple[asyncio.Future[Any], ...] = (request, self._exit)
        try:
            with anyio.move_on_after(seconds):
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if not request.done() or not (request.cancelled() or request.exception()):
                    await asyncio.wait([self._exit])
        finally:
            request.cancel()
            await asyncio.wait([request])
            if not request.cancelled():
                request.exception()
        return self._exit.done()

    async def _release(self) -> None:
        try:
            await self._client.release(self.pid)
        except RefusedError as error:
            raise HostError(
                f"{self.name} (pid {self.pid}) cannot be stopped: it or a member of its group survives SIGKILL",
                hint="is it stuck in the kernel (state D in ps), or does it run as another user?",
            ) from error


async def wait_until_ready(
    process: Process, ready: Callable[[], Awaitable[T]], *, deadline_s: float, what: str = "ready"
) -> T:
    """Race readiness, the end of the process, and a deadline; returns what `ready` returned.

    Raises NodeError with the process's last words when it ended first, when `ready` failed because it was
    about to end, or when the deadline passed. An error of `ready` with a living process is raised as it is.
    """
    probing = asyncio.ensure_future(ready())
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait([probing, ended], timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if probing.done() and not probing.exception():
            return probing.result()
        if probing.done():
            await asyncio.wait([ended], timeout=DYING_S)
        if ended.done():
            raise _not_ready(process, f"ended ({ended.result()}) before it was {what}")
        if probing.done():
            return probing.result()
        raise _not_ready(process, f"was not {what} within {deadline_s:g} s")
    finally:
        await _cancel(probing, ended)


def _not_ready(process: Process, message: str) -> NodeError:
    words = process.last_words()
    message += f"; its last words:\n{words}" if words else "; it wrote nothing to stderr"
    return NodeError(process.name, message, log=str(process.stderr_path))


async def _cancel(*futures: asyncio.Future[T] | asyncio.Future[ExitStatus]) -> None:
    for future in futures:
        future.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait(futures)
    for future in futures:
        if not future.cancelled():
            future.exception()
