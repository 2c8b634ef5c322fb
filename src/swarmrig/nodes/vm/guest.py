"""One life of a guest, as far as its console tells of it: how it boots, whether it panics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio

from swarmrig.errors import NodeError
from swarmrig.nodes.background import background
from swarmrig.nodes.vm.options import VmOptions
from swarmrig.nodes.vm.shell import Shell
from swarmrig.nodes.vm.transcript import Transcript

_NEVER = r"(?!)"


class Guest:
    """From power or reset to the next one."""

    def __init__(
        self,
        node: str,
        options: VmOptions,
        variables: Mapping[str, str],
        write: Callable[[bytes], Awaitable[None]],
        on_ready: Callable[[], None],
    ) -> None:
        self.transcript = Transcript()
        self.shell = Shell(node, self.transcript, write)
        self.ready = anyio.Event()
        """Set when login, boot commands and the pattern for readiness are through."""
        self._node = node
        self._options = options
        self._variables = variables
        self._on_ready = on_ready
        self._waits_for = ""

    @asynccontextmanager
    async def watched(self, trouble: asyncio.Future[None]) -> AsyncIterator[None]:
        """Boot, and see whether it panics; what goes wrong becomes the result of `trouble`."""

        async def told(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except NodeError as error:
                if not trouble.done():
                    trouble.set_exception(error)

        async with background(told(self._boot)), background(told(self._panic)):
            yield

    async def _boot(self) -> None:
        seconds = self._options.deadline / 1e9
        try:
            with anyio.fail_after(seconds):
                await self._stages()
        except TimeoutError:
            raise self.failure(f"was not through with {self._waits_for} within {seconds:g} s of its start") from None
        self.ready.set()
        if self._waits_for:
            self._on_ready()

    async def _stages(self) -> None:
        options = self._options
        if options.login is not None:
            self._waits_for = "login on its console"
            await self.shell.log_in(options.login, self._variables)
        for command in options.boot_commands:
            self._waits_for = f"the boot command {command!r}"
            result = await self.shell.run(command)
            if result.status:
                told = f"; it said:\n{result.output.rstrip()}" if result.output.strip() else ""
                raise NodeError(self._node, f"the boot command {command!r} ended with exit {result.status}{told}")
        if options.ready is not None:
            self._waits_for = f"/{options.ready}/ on its console"
            await self.transcript.find(re.compile(options.ready, re.MULTILINE), 0)

    async def _panic(self) -> None:
        line = re.compile(rf"^.*(?:{self._options.panic or _NEVER}).*\n", re.MULTILINE)
        match, _ = await self.transcript.find(line, 0)
        raise self.failure(f"its kernel gave up: {match[0].strip()}")

    def failure(self, what: str) -> NodeError:
        """An error with the end of what the console said."""
        said = self.transcript.last_lines()
        end = f"; its console ends with:\n{said}" if said else "; its console said nothing"
        return NodeError(self._node, what + end, log=f"nodes/{self._node}/console.log")
