"""How to see that a program is ready: it listens, it has said so, a file is there, or another program finds it so."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio

from swarmrig.errors import NodeError
from swarmrig.model.units import format_duration
from swarmrig.nodes.process.keeping import Keeping
from swarmrig.nodes.process.options import Ready

LOOK_S = 0.05
"""Neither a listening socket nor a file tells of itself: so often they are looked for."""
_LISTEN = "0A"  # TCP_LISTEN of net/tcp_states.h, as proc(5) has it
LINE_LIMIT = 1 << 16


class Sayings:
    """What a program says, line by line, until a pattern is found in it."""

    def __init__(self, pattern: str) -> None:
        self.found = anyio.Event()
        self._pattern = re.compile(pattern)
        self._line = b""

    def feed(self, chunk: bytes) -> None:
        if self.found.is_set():
            return
        *lines, self._line = (self._line + chunk).split(b"\n")
        self._line = self._line[-LINE_LIMIT:]
        if any(self._pattern.search(line.decode("utf-8", "replace").rstrip("\r")) for line in lines):
            self.found.set()


async def wait_until_ready(
    ready: Ready,
    keeper: Keeping,
    sayings: Sayings | None,
    cwd: Path,
    order: Callable[[tuple[str, ...]], Mapping[str, Any]],
) -> None:
    """Return when the program is ready. NodeError when it is not by the deadline."""
    what, condition = _condition(ready, keeper, sayings, cwd, order)
    with anyio.move_on_after(ready.deadline / 1e9):
        await condition()
        return
    message = f"not ready after {format_duration(ready.deadline)}: {what}"
    raise NodeError(keeper.node, message, hint="see `ready:`, and what it says on its console")


def _condition(
    ready: Ready,
    keeper: Keeping,
    sayings: Sayings | None,
    cwd: Path,
    order: Callable[[tuple[str, ...]], Mapping[str, Any]],
) -> tuple[str, Callable[[], Awaitable[None]]]:
    """In words what is missing, and what waits for it."""
    if ready.port is not None:
        port, pid = ready.port, keeper.process.pid
        return f"nobody listens on port {port}", lambda: _until(lambda: is_listening(pid, port))
    if ready.file is not None:
        path = cwd / ready.file
        return f"there is no {path}", lambda: _until(path.exists)
    if ready.command is not None:
        command = ready.command
        return f"{command[0]} does not end with exit 0", lambda: _until_run(keeper, order(command))
    assert sayings is not None
    return f"no line of its output matches {ready.log!r}", sayings.found.wait


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(LOOK_S)


async def _until_run(keeper: Keeping, order: Mapping[str, Any]) -> None:
    while await keeper.run(order) != 0:  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(LOOK_S)


def is_listening(pid: int, port: int) -> bool:
    """Does anybody listen on the TCP port in the network namespace of the process? Without connecting to it."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False
