"""A node of a swarm that is led by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmrig.api import CanFlash, CanPowerCycle, CommandResult, HasMemory, HasMonitor, HasShell
from swarmrig.integrations.session.errors import NotSeenError
from swarmrig.integrations.session.transcript import Pattern, Search, compiled, exactly
from swarmrig.model.units import NS_PER_S, parse_duration_ns

if TYPE_CHECKING:
    from swarmrig.integrations.session.swarm import Swarm

DEFAULT_TIMEOUT = "30s"
COMMAND_TIMEOUT = "60s"
Duration = str | float
"""`"2s"`, `"50ms"`; a bare number is seconds."""


class Node:
    """Its console is a stream that is read from the beginning: each `expect` goes on behind what the last one found,
    and also finds what was said long ago. Times are run time: virtual where the run's time is."""

    def __init__(self, swarm: Swarm, name: str) -> None:
        self.name = name
        self._swarm = swarm

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    @property
    def logfile(self) -> Path:
        """Everything that its console has said, raw."""
        return self._swarm.directory / "nodes" / self.name / "console.log"

    @property
    def console(self) -> str:
        """Everything that its console has said up to now."""
        return self._swarm._ask(self._swarm._lead.said, self.name).decode("utf-8", "replace")

    def expect(
        self,
        pattern: Pattern | Sequence[Pattern],
        timeout: Duration = DEFAULT_TIMEOUT,
        *,
        expect_all: bool = False,
        not_matching: Pattern | Sequence[Pattern] = (),
    ) -> Any:
        """Return the match of a regular expression in what the console says; `^` and `$` stand for lines.

        Of several patterns, it is the match of the one that is found first; with `expect_all`, a list with a match of
        each, in the order of the patterns. NotSeenError (an AssertionError) when it is not seen in time, when the node
        ends first, or when one of `not_matching` is seen before.
        """
        __tracebackhide__ = True
        patterns = [compiled(self._own(one)) for one in _several(pattern)]
        forbidden = [compiled(self._own(one)) for one in _several(not_matching)]
        return self._expect(patterns, forbidden, timeout, expect_all)

    def expect_exact(
        self,
        text: str | bytes | Sequence[str | bytes],
        timeout: Duration = DEFAULT_TIMEOUT,
        *,
        expect_all: bool = False,
        not_matching: Pattern | Sequence[Pattern] = (),
    ) -> Any:
        """As `expect`, for text that is no pattern."""
        __tracebackhide__ = True
        patterns = [exactly(self._own(one)) for one in _several(text)]
        forbidden = [compiled(self._own(one)) for one in _several(not_matching)]
        return self._expect(patterns, forbidden, timeout, expect_all)

    def write(self, text: str | bytes) -> None:
        """Type a line into the console; a line end is added to text, bytes are typed as they are."""
        data = text if isinstance(text, bytes) else text.removesuffix("\n").encode() + b"\n"
        self._swarm._ask(self._swarm._lead.type_in, self.name, data)

    def reset(self) -> None:
        """Press the reset button: the fault `reset`, which must be proved like any other."""
        self._swarm.inject("reset", node=self.name)

    hard_reset = reset

    def power_off(self) -> None:
        """Pull the plug. No fault: nobody has to prove it."""
        self._swarm._ask(self._call, CanPowerCycle, "power_off")

    def power_on(self) -> None:
        """Start it again, from the same flash."""
        self._swarm._ask(self._call, CanPowerCycle, "power_on")

    def read_memory(self, address: int, size: int) -> bytes:
        """Physical memory."""
        return bytes(self._swarm._ask(self._call, HasMemory, "read_memory", address, size))

    def write_memory(self, address: int, data: bytes) -> None:
        """As a device on the bus would."""
        self._swarm._ask(self._call, HasMemory, "write_memory", address, data)

    def monitor(self, command: str) -> str:
        """Give its emulator's monitor one command, where the scenario allows that. ValueError when it is not one."""
        if not command.strip() or not command.isprintable():
            raise ValueError("a command is one line of text")
        return str(self._swarm._ask(self._call, HasMonitor, "monitor", command))

    def execute(self, command: str, timeout: Duration = COMMAND_TIMEOUT) -> CommandResult:
        """Run a command in the shell on its console: exit status and output. SwarmrigError when it has no shell."""
        result: CommandResult = self._swarm._ask(self._execute, command, parse_duration_ns(timeout) / NS_PER_S)
        return result

    def succeed(self, command: str, timeout: Duration = COMMAND_TIMEOUT) -> str:
        """The output of a command that must end with exit 0 (else AssertionError)."""
        __tracebackhide__ = True
        result = self.execute(command, timeout)
        if result.status:
            raise AssertionError(f"{command!r} ended with exit {result.status}; it said:\n{result.output}")
        return result.output

    def fail(self, command: str, timeout: Duration = COMMAND_TIMEOUT) -> str:
        """The output of a command that must not end with exit 0 (else AssertionError)."""
        __tracebackhide__ = True
        result = self.execute(command, timeout)
        if not result.status:
            raise AssertionError(f"{command!r} should have failed; it said:\n{result.output}")
        return result.output

    def can(self, capability: type[Any]) -> bool:
        """Has it this capability, a protocol of swarmrig.api?"""
        return self._swarm._lead.can(self.name, capability)

    def flash(self, file: Path) -> None:
        """Give it other firmware while it is on. SwarmrigError when it is not of that kind."""
        self._swarm._ask(self._call, CanFlash, "flash", file)

    async def _call(self, capability: type[Any], method: str, *arguments: Any) -> Any:
        return await getattr(self._swarm._lead.node(self.name, capability), method)(*arguments)

    async def _execute(self, command: str, timeout_s: float) -> CommandResult:
        shell: HasShell = self._swarm._lead.node(self.name, HasShell)
        return await shell.execute(command, timeout_s=timeout_s)

    def _own(self, pattern: Any) -> Any:
        """A pattern as this kind of node takes it."""
        return pattern

    def _expect(
        self,
        patterns: list[re.Pattern[Any]],
        forbidden: list[re.Pattern[Any]],
        timeout: Duration,
        expect_all: bool,
    ) -> Any:
        __tracebackhide__ = True
        timeout_ns, lead = parse_duration_ns(timeout), self._swarm._lead
        search = Search(lead.transcript(self.name), [*patterns, *forbidden])
        matches: dict[re.Pattern[Any], re.Match[Any]] = {}
        end_ns = lead.now_ns + timeout_ns
        while True:
            what = " or ".join(repr(one.pattern) for one in patterns if one not in matches)
            found = self._swarm._ask(lead.expect, self.name, search, max(0, end_ns - lead.now_ns), what)
            if found.pattern in forbidden:
                raise NotSeenError(f"{self.name} said {found.match.group()!r}, and not (or not yet) {what}")
            matches[found.pattern] = found.match
            if not expect_all:
                return found.match
            if len(matches) == len(set(patterns)):
                return [matches[one] for one in patterns]
            search.drop(found)


class Dut(Node):
    """A node as users of pytest-embedded know it: patterns are of bytes, and so are the groups of what matches."""

    def _own(self, pattern: Any) -> Any:
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
            return re.compile(pattern.pattern.encode(), pattern.flags & ~re.UNICODE)
        return pattern.encode() if isinstance(pattern, str) else pattern


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
