"""One Renode process, from its start to its end, with the connections that the rig has to it."""

from __future__ import annotations

import shlex
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import NodeError
from swarmrig.nodes.console import open_console
from swarmrig.nodes.renode.bringup import Paths, bring_up, steps
from swarmrig.nodes.renode.door import FD, Door, behind_door, open_door
from swarmrig.nodes.renode.errors import MonitorError
from swarmrig.nodes.renode.logwatch import LogWatch
from swarmrig.nodes.renode.monitor import CONNECT_S, Monitor, connected
from swarmrig.nodes.renode.setup import Setup
from swarmrig.proc import Process, StopLadder, wait_until_ready

START_S = 60.0
"""How long Renode may take until it listens; a dead one is noticed at once. One that does not say that it listens is
tried at half of that."""
STOP = StopLadder(polite_s=2.0, term_s=5.0, kill_s=5.0)
DYING_S = 0.25
QUIT_S = 1.5
"""`quit` may not be answered: when a machine hangs, nothing is."""
FIRST_PORT = 1234
ATTEMPTS = 3
FILE_SIZE_LIMIT = 256 << 20
LOG = "renode.log"
_PORT_TAKEN = "AddressAlreadyInUse"


@dataclass(frozen=True, slots=True)
class Renode:
    """What the rig has to do with a running Renode."""

    process: Process
    monitor: Monitor
    log: LogWatch
    door: Door
    paths: Paths

    def last_words(self) -> str:
        """The errors in its log, then what it wrote to stderr."""
        return "\n".join(filter(None, (self.log.errors, self.process.last_words())))


@asynccontextmanager
async def running(setup: Setup, context: LaunchContext, *, virtual: bool) -> AsyncIterator[Renode]:
    """A Renode with a machine that is made and loaded, but not started. NodeError with its own words when that fails;
    nothing is left then."""
    paths = Paths(private_directory(context))
    todo = steps(setup, paths, virtual=virtual, seed=context.scenario.seed << 8 | setup.spec.number)
    async with AsyncExitStack() as stack:
        stack.callback(paths.clear)
        paths.clear()
        renode = await _started(stack, setup, context, paths)
        try:
            await bring_up(renode.monitor, setup, todo)
        except NodeError as error:
            raise await explained(renode, setup, error) from error
        yield renode


async def _started(stack: AsyncExitStack, setup: Setup, context: LaunchContext, paths: Paths) -> Renode:
    """Try other ports when somebody else has taken ours, unless the port is the scenario's choice."""
    fixed = setup.options.monitor_port
    ports = (fixed,) if fixed else range(FIRST_PORT, FIRST_PORT + ATTEMPTS)
    for port in ports:
        attempt = AsyncExitStack()
        async with attempt:
            try:
                renode = await attempt.enter_async_context(_listening(setup, context, paths, port))
            except NodeError as error:
                if _PORT_TAKEN in error.message and port != ports[-1]:
                    continue
                raise
            stack.push_async_exit(attempt.pop_all().__aexit__)
            return renode
    raise AssertionError("a loop over ports ends with a return or an error")


@asynccontextmanager
async def _listening(setup: Setup, context: LaunchContext, paths: Paths, port: int) -> AsyncIterator[Renode]:
    """A Renode whose monitor answers."""
    node, log, quitting = setup.spec.id, LogWatch(), anyio.Event()
    command = [*setup.program.command, "--disable-xwt", "--plain", "--port", str(port)]
    command += ["--pid-file", str(paths.pid)]
    (context.directory / "argv").write_text(shlex.join(command) + "\n", encoding="utf-8")

    async def wait_for_quit() -> None:
        if not quitting.is_set():
            raise MonitorError(node, "it cannot be asked to quit")

    async with AsyncExitStack() as stack:
        door, theirs = stack.enter_context(open_door(node))
        stdout = stack.enter_context(_watched_stdout(node, context, log))
        process = await stack.enter_async_context(
            context.spawner.process(
                behind_door(command),
                name=node,
                fds={FD: theirs},
                stdout=stdout,
                stderr=context.directory / "stderr.log",
                cwd=paths.directory,
                polite=wait_for_quit,
                stop=STOP,
                file_size_limit=FILE_SIZE_LIMIT,
            )
        )
        theirs.close()
        stdout.close()
        monitor = await _reach_monitor(stack, setup, process, door, log, port)
        stack.push_async_callback(_quit, monitor, quitting)
        log.on_failure = lambda text: monitor.break_off(f"its machine has stopped: {text}")
        yield Renode(process, monitor, log, door, paths)


async def _quit(monitor: Monitor, quitting: anyio.Event) -> None:
    with anyio.CancelScope(shield=True):
        if monitor.unusable is None:
            quitting.set()
            await monitor.quit(QUIT_S)


async def _reach_monitor(
    stack: AsyncExitStack, setup: Setup, process: Process, door: Door, log: LogWatch, port: int
) -> Monitor:
    """Wait for what Renode says, then for what its monitor does, in any case for its end."""

    async def listening() -> None:
        await door.wait_until_open()
        with anyio.move_on_after(START_S / 2):
            await log.listening.wait()

    await wait_until_ready(process, listening, deadline_s=START_S, what="ready for commands")
    context = connected(setup.spec.id, door.tcp, port, setup.options.machine_name, reconnects=True)
    return await wait_until_ready(
        process, lambda: stack.enter_async_context(context), deadline_s=2 * CONNECT_S, what="ready for commands"
    )


@contextmanager
def _watched_stdout(node: str, context: LaunchContext, log: LogWatch) -> Iterator[socket.socket]:
    """What the process has for its standard output: read as it comes, logged, watched."""
    ours, theirs = socket.socketpair()
    with ours, theirs, open_console(node, ours, context.directory / LOG, log.feed):
        yield theirs


async def explained(renode: Renode, setup: Setup, error: NodeError) -> NodeError:
    """When Renode has ended, that is the better explanation, in its own words."""
    with anyio.move_on_after(DYING_S):
        await renode.process.wait()
    status = renode.process.exit_status
    if status is None:
        return error
    words = renode.last_words() or "it wrote nothing to stderr"
    return NodeError(setup.spec.id, f"Renode ended ({status}) while its machine was made; its last words:\n{words}")


def private_directory(context: LaunchContext) -> Path:
    """Where the node's links and temporary files are; gone with the run."""
    directory = Path(context.spawner.scope.temporary_directory) / f"renode-{context.device.name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
