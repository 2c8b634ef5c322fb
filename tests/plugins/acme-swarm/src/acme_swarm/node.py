"""Nodes that are programs of this machine: fd 0 is the console, fd 3 the network, one Ethernet frame a packet."""

import shlex
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from swarmrig.api import ExitStatus, LaunchContext, NodePlan
from swarmrig.errors import HostError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.nodes.console import Console, open_console
from swarmrig.proc import Process

CONSOLE_FD, NETWORK_FD = 0, 3


class ProgramOptions(BaseModel):
    """Settings of a program node."""

    model_config = ConfigDict(extra="forbid")

    command: tuple[str, ...] = Field(min_length=1, description="The program and its arguments; words, no shell.")


class ProgramNode:
    """HasConsole, CanPause, CanKill."""

    def __init__(self, spec: NodeSpec, process: Process, console: Console) -> None:
        self.spec = spec
        self._process = process
        self._console = console

    async def wait_exited(self) -> ExitStatus:
        status = await self._process.wait()
        self._console.drain()  # its last output comes before the news of its end
        return status

    def last_words(self) -> str:
        return self._process.last_words()

    async def write_console(self, data: bytes) -> None:
        await self._console.write(data)

    async def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    async def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


class ProgramBackend:
    """Runs a program of this machine as a node."""

    kind: ClassVar[str] = "acme-program"
    options_model: ClassVar[type[BaseModel]] = ProgramOptions

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        command = ProgramOptions.model_validate(dict(spec.options)).command
        program = shutil.which(command[0])
        if program is None:
            raise HostError(f"node {spec.id}: the program {command[0]} was not found", hint="check `command:`")
        return NodePlan(
            spec=spec,
            command=(program, *command[1:]),
            port=PortKind.PACKET,
            capabilities=frozenset({"HasConsole", "CanPause", "CanKill"}),
            warnings=("it is told nothing: config has no effect",) if spec.nvs else (),
            details={"program": program},
        )

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:
        return "a program of this machine lives by its clock"

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[ProgramNode]:
        node, device, directory = plan.spec.id, context.device, context.directory

        def on_output(chunk: bytes) -> None:
            context.on_console(node, context.now_ns(), chunk)

        (directory / "argv").write_text(shlex.join(plan.command) + "\n")
        with ExitStack() as stack:
            network = stack.enter_context(socket.socket(fileno=context.port_fd))  # ours to close, whatever happens
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            console = stack.enter_context(open_console(node, ours, directory / "console.log", on_output))
            async with context.spawner.process(
                plan.command,
                name=node,
                fds={CONSOLE_FD: theirs, NETWORK_FD: network},
                stderr=directory / "stderr.log",
                env={"NODE_ADDRESS": f"{device.ip}/{device.prefix}", "NODE_MAC": device.mac},
            ) as process:
                theirs.close()  # only the program holds them now: its end is their end
                network.close()
                yield ProgramNode(plan.spec, process, console)

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:
        return ()  # nothing is written for the node that it could hold differently
