"""A virtual machine as a node of a run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio

from swarmrig.api.nodes import CommandResult, ExitStatus, LaunchContext, NodePlan
from swarmrig.errors import NodeError
from swarmrig.nodes.emulator.node import RealTimeNode, WithMemory, WithNmi, WithPower
from swarmrig.nodes.emulator.process import START_DEADLINE_S, Emulator, running
from swarmrig.nodes.settings import place_variables
from swarmrig.nodes.vm.command import fill_in
from swarmrig.nodes.vm.guest import Guest
from swarmrig.nodes.vm.setup import Setup
from swarmrig.proc import wait_until_ready

T = TypeVar("T")

PATIENCE_S = 60.0
SPARE_BYTES = 1 << 30
"""What an overlay may take beside the disk's content, and a log."""


class VmNode(WithPower, WithMemory, WithNmi, RealTimeNode):
    """A guest, with the disk that it has for the whole run. Waiting without end is not possible: everything that waits
    for the guest has `timeout_s`, and says in the error how the console ends."""

    def __init__(self, plan: NodePlan, context: LaunchContext, setup: Setup, overlay: Path) -> None:
        super().__init__(plan, context)
        self._setup = setup
        self._overlay = overlay
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trouble.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._guest: Guest | None = None
        self._watch = AsyncExitStack()
        self._heard = 0

    @asynccontextmanager
    async def _starting(self, port_fd: int | None) -> AsyncIterator[Emulator]:
        context = replace(self._context, on_console=self._on_console)
        command = fill_in(self.plan.command, context, self._overlay)
        limit = SPARE_BYTES + (self._setup.disk.bytes if self._setup.disk else 0)
        self._new_guest()
        async with running(command, context, port_fd, file_size_limit=limit) as emulator:
            # The greeting comes before disks and devices are there; an answer comes after that.
            status = partial(emulator.monitor.execute, "query-status")
            await wait_until_ready(emulator.process, status, deadline_s=START_DEADLINE_S, what="started")
            await self._watch_guest()
            try:
                yield emulator
            finally:
                await self._watch.aclose()

    async def wait_exited(self) -> ExitStatus:
        """As of any emulator. NodeError when its kernel panics, or when it is not ready in time."""
        exited = asyncio.ensure_future(super().wait_exited())
        waited: list[asyncio.Future[Any]] = [exited, self._trouble]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                self._trouble.result()
            return await exited
        finally:
            exited.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([exited])

    def last_words(self) -> str:
        """The emulator's, and the end of the console."""
        said = self.guest.transcript.last_lines(5)
        return "\n".join(filter(None, [super().last_words(), said and f"its console ends with:\n{said}"]))

    async def reset(self) -> None:
        """Press the reset button; it boots anew, with login and boot commands."""
        await self._watch.aclose()
        self._new_guest()
        await super().reset()
        await self._watch_guest()

    # --- its console, in the words of the NixOS test driver ----------------------------------------------------

    @property
    def guest(self) -> Guest:
        assert self._guest is not None
        return self._guest

    async def wait_until_ready(self, *, timeout_s: float | None = None) -> None:
        """Return when login, boot commands and `ready` are through; the node's own `deadline` holds in any case."""
        await self._while_it_lives(self.guest.ready.wait(), timeout_s, "ready")

    async def wait_for_console_text(self, pattern: str, *, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The next match of a regular expression in what its console says: behind the one before, if there was one."""
        guest = self.guest
        found = guest.transcript.find(re.compile(pattern, re.MULTILINE), self._heard)
        match, self._heard = await self._while_it_lives(found, timeout_s, f"said to match /{pattern}/")
        return match

    async def _while_it_lives(self, waiting: Awaitable[T], timeout_s: float | None, what: str) -> T:
        """What is waited for; NodeError when the guest ends, or fails, or the time is up."""
        wanted = asyncio.ensure_future(waiting)
        ended = asyncio.ensure_future(self.wait_exited())
        waited: list[asyncio.Future[Any]] = [wanted, ended]
        try:
            await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
            if ended.done():
                raise self.guest.failure(f"ended ({ended.result()}) before it was {what}")
            raise self.guest.failure(f"was not {what} within {timeout_s:g} s")
        finally:
            for task in waited:
                task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait(waited)
            for task in waited:
                if not task.cancelled():
                    task.exception()  # told, or overtaken

    def _new_guest(self) -> None:
        self._heard = 0
        options, variables = self._setup.options, place_variables(self._context)
        self._guest = Guest(self.spec.id, options, variables, self.write_console, self._context.on_ready)

    async def _watch_guest(self) -> None:
        self._watch = AsyncExitStack()
        await self._watch.enter_async_context(self.guest.watched(self._trouble))

    def _on_console(self, node: str, t_ns: int, chunk: bytes) -> None:
        self.guest.transcript.feed(chunk)
        self._context.on_console(node, t_ns, chunk)


class WithShell(VmNode):
    """HasShell."""

    async def execute(self, command: str, *, timeout_s: float = PATIENCE_S) -> CommandResult:
        """See api.HasShell. Waits until the node is ready, first."""
        await self.wait_until_ready(timeout_s=timeout_s)
        return await self._while_it_lives(self.guest.shell.run(command), timeout_s, f"through with {command!r}")

    async def succeed(self, command: str, *, timeout_s: float = PATIENCE_S) -> str:
        """The output of a command. NodeError when it ends with another exit than 0."""
        result = await self.execute(command, timeout_s=timeout_s)
        if result.status:
            raise NodeError(self.spec.id, f"{command!r} ended with exit {result.status}; it said:\n{result.output}")
        return result.output

    async def fail(self, command: str, *, timeout_s: float = PATIENCE_S) -> str:
        """The output of a command. NodeError when it ends with exit 0."""
        result = await self.execute(command, timeout_s=timeout_s)
        if not result.status:
            raise NodeError(self.spec.id, f"{command!r} should have failed; it said:\n{result.output}")
        return result.output

    async def wait_until_succeeds(self, command: str, *, timeout_s: float = PATIENCE_S) -> str:
        """The output of a command, run again and again, each second, until it ends with exit 0."""
        once = f"{command}\n_status=$?; echo .; exit $_status"  # the dot keeps the line ends before it
        again = f'until _said=$({once}); do sleep 1; done; printf %s "${{_said%.}}"'
        return await self.succeed(again, timeout_s=timeout_s)
