"""The backend of kind `line`: a program in any language, stepped by the network's process."""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, ClassVar

import anyio

from swarmrig.api.nodes import ExitStatus, LaunchContext, NodePlan
from swarmrig.errors import HostError, NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.nodes.line.options import LineOptions, Transport, options_of
from swarmrig.nodes.line.protocol import CLOSED, LINE_LIMIT, shortened
from swarmrig.nodes.programs import find_program
from swarmrig.nodes.settings import addresses_of, place_variables
from swarmrig.proc import Process, StopLadder, wait_until_ready

FACTORY = "swarmrig.nodes.line.near_end:make_line_model"
DESCRIPTOR = "SWARMRIG_LINE_FD"
LINE_FD = 3
TOLD_S = 5.0
"""How long the network has to tell why a program has ended, before its exit is all that is said."""


class LineNode:
    """Its program is there; the rest of it lives in the network's process, and tells when it fails."""

    def __init__(self, plan: NodePlan, process: Process) -> None:
        self.spec = plan.spec
        self.ended_ns: int | None = None
        """Run time at which the network found it unable to go on."""
        self._process = process
        self._reason = ""
        self._found_unfit = anyio.Event()

    def fail(self, t_ns: int, reason: str) -> None:
        """The network's process has given it up."""
        self.ended_ns, self._reason = t_ns, reason
        self._found_unfit.set()

    @property
    def failed(self) -> bool:
        return self._found_unfit.is_set()

    async def wait_exited(self) -> ExitStatus:
        """NodeError when the network's process has given it up; how its program ended, when nothing else is known."""
        ended = asyncio.ensure_future(self._process.wait())
        told = asyncio.ensure_future(self._found_unfit.wait())
        try:
            await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([told], timeout=TOLD_S)
            if not told.done():
                return ended.result()
            if CLOSED in self._reason:  # then it is about to end
                await asyncio.wait([ended], timeout=TOLD_S)
            exit_status = f"; its program has ended ({ended.result()})" if ended.done() else ""
        finally:
            for future in (ended, told):
                future.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([ended, told])
        words = self.last_words()
        said = f"; its last words:\n{words}" if words else ""
        raise NodeError(self.spec.id, f"{self._reason}{exit_status}{said}", log=str(self._process.stderr_path))

    def last_words(self) -> str:
        return self._process.last_words()


class LineBackend:
    """Any program that speaks the line protocol; exact in virtual time, if the program is."""

    kind: ClassVar[str] = "line"
    any_number: ClassVar[bool] = True
    options_model: ClassVar[type[LineOptions]] = LineOptions

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:  # noqa: ARG002 - the contract
        """Nothing: a program is told the time."""
        return None

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:  # noqa: ARG002 - the contract
        """Find the program."""
        options = options_of(spec.options)
        program = find_program(spec.id, options.command, options.working_dir, options.environment)
        return NodePlan(
            spec=spec,
            command=(program, *options.command[1:]),
            port=PortKind.PYTHON,
            factory=FACTORY,
            config={"step_us": options.step // 1_000, "deadline_s": options.deadline / 1e9},
            warnings=("nvs values have no effect on a line node",) if spec.nvs else (),
            details={"program": program, "transport": options.transport.value},
        )

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[LineNode]:
        """Start the program, hear that it is ready, and hand its line to the network's process."""
        options, node = options_of(plan.spec.options), plan.spec.id
        (context.directory / "argv").write_text(shlex.join(plan.command) + "\n", encoding="utf-8")
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.enter_context(ours)
            ours.setblocking(False)
            with theirs:
                process = await stack.enter_async_context(_program(plan, options, context, theirs))

            async def shake_hands() -> None:
                await _shake_hands(node, ours, _told(plan.spec, options, context))

            await wait_until_ready(process, shake_hands, deadline_s=options.start_deadline / 1e9)
            await context.network.attach(node, ours.fileno())
            ours.close()
            try:
                yield LineNode(plan, process)
            finally:
                with anyio.CancelScope(shield=True), suppress(HostError):
                    await context.network.disconnect(node)

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:  # noqa: ARG002 - the contract
        """Which file is executed."""
        return {"program": plan.command[0]}

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002 - the contract
        """Nothing is provisioned."""
        return ()


@asynccontextmanager
async def _program(
    plan: NodePlan, options: LineOptions, context: LaunchContext, line: socket.socket
) -> AsyncIterator[Process]:
    """The program with its end of the line; what it says beside the protocol is in stderr.log. It ends by itself once
    it is told to, or is ended soon after."""
    log = context.directory / "stderr.log"
    over_socket = options.transport is Transport.SOCKET
    told = {**options.environment, **place_variables(context)}
    running: list[Process] = []

    async def ends() -> None:
        await running[0].wait()

    async with context.spawner.process(
        plan.command,
        name=plan.spec.id,
        fds={LINE_FD: line} if over_socket else {0: line, 1: line},
        stdout=log if over_socket else None,
        stderr=log,
        env={**told, DESCRIPTOR: str(LINE_FD)} if over_socket else told,
        cwd=options.working_dir,
        polite=ends,
        stop=StopLadder(polite_s=1.0),
    ) as process:
        running.append(process)
        yield process


def _told(spec: NodeSpec, options: LineOptions, context: LaunchContext) -> Mapping[str, Any]:
    """The JSON of INIT."""
    addresses = addresses_of(context.network.plan)
    target = next((name for name, ip in addresses.items() if ip == context.target_ip), "")
    return {
        "number": spec.number,
        "role": spec.role.value,
        "seed": context.scenario.seed,
        "address": context.device.ip,
        "target": target,
        "nodes": [node.id for node in context.scenario.nodes],
        "duration_us": context.scenario.duration_ns // 1_000,
        "step_us": options.step // 1_000,
        "settings": options.settings,
    }


async def _shake_hands(node: str, line: socket.socket, told: Mapping[str, Any]) -> None:
    """INIT, and READY for an answer; NodeError when the program says anything else."""
    loop = asyncio.get_running_loop()
    answer = b""
    try:
        await loop.sock_sendall(line, f"INIT {node} {json.dumps(told)}\n".encode())
        while b"\n" not in answer and len(answer) < LINE_LIMIT and (chunk := await loop.sock_recv(line, 4096)):
            answer += chunk
    except OSError:
        pass  # it has closed its end
    if answer not in (b"READY\n", b"READY\r\n"):
        said = f"it said {shortened(answer.decode('utf-8', 'replace'))}" if answer else CLOSED
        raise NodeError(node, f"expected READY in answer to INIT, {said} (line 1 of what it said)")
