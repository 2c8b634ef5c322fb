"""A place to try a node backend without a whole run: a spawner, a network port, and the console as it comes."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api.nodes import LaunchContext, Node, NodeBackend, NodePlan
from swarmrig.model.network import NetworkPlan, PortKind
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.net.fabric import Fabric, open_fabric
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.proc import RunScope, Spawner, open_spawner

DEADLINE_S = 20.0
_FRAMES_KEPT = 10_000
_POLL_S = 0.05


class Trace:
    """What one node let be seen: its console, and the frames that it sent (the last 10 000)."""

    def __init__(self) -> None:
        self.console = bytearray()
        self.times_ns: list[int] = []
        self.frames: deque[bytes] = deque(maxlen=_FRAMES_KEPT)
        self.frame_count = 0
        self._changed = anyio.Event()

    @property
    def text(self) -> str:
        """The console so far, lines ended by LF."""
        return self.console.decode("utf-8", "replace").replace("\r\n", "\n")

    def count(self, pattern: str) -> int:
        """How often the console matches."""
        return len(re.findall(pattern, self.text, re.MULTILINE))

    def on_console(self, t_ns: int, chunk: bytes) -> None:
        self.console += chunk
        self.times_ns.append(t_ns)
        self._wake()

    def on_frame(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.frame_count += 1
        self._wake()

    async def wait_for(self, condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
        """Return what `condition` returns once that is true; AssertionError after the deadline."""
        with anyio.move_on_after(deadline_s):
            while not (result := condition()):
                await self._changed.wait()
            return result
        raise AssertionError(f"no {what} within {deadline_s:g} s; the console ends with {self.text[-500:]!r}")

    async def wait_for_console(self, pattern: str, *, count: int = 1, deadline_s: float = DEADLINE_S) -> None:
        """Return once the console has matched `pattern` so many times."""
        await self.wait_for(lambda: self.count(pattern) >= count, f"console output {pattern!r} ({count} x)", deadline_s)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class _Network:
    """What a node on the workbench has for a network: a place that it keeps."""

    def __init__(self, plan: NetworkPlan, renew: Callable[[], int], attach: Callable[[int], None]) -> None:
        self.plan = plan
        self._renew = renew
        self._attach = attach

    async def renew_port(self, device: str) -> int:  # noqa: ARG002 - it knows which
        return self._renew()

    async def attach(self, device: str, fd: int) -> None:  # noqa: ARG002 - it knows which
        self._attach(fd)


class Workbench:
    """Made by `open_workbench`."""

    def __init__(
        self,
        directory: Path,
        backend: NodeBackend,
        scenario: Scenario,
        plans: dict[str, NodePlan],
        network: NetworkPlan,
        spawner: Spawner,
        fabric: Fabric | None,
        start_ns: int,
    ) -> None:
        self.directory = directory
        self.backend = backend
        self.scenario = scenario
        self.plans = plans
        self.network = network
        self.spawner = spawner
        self.traces = {node: Trace() for node in plans}
        self.ports: dict[str, socket.socket] = {}
        """The network's end of each running node's port: one frame a message (PortKind.PACKET)."""
        self.contexts: dict[str, LaunchContext] = {}
        self._fabric = fabric
        self._start_ns = start_ns

    def now_ns(self) -> int:
        return time.monotonic_ns() - self._start_ns

    @asynccontextmanager
    async def node(self, node_id: str | None = None) -> AsyncIterator[Node]:
        """Start a node (the only one, if not named) with a port and a directory of its own."""
        plan = self.plans[node_id] if node_id else next(iter(self.plans.values()))
        name = plan.spec.id
        directory = self.directory / "nodes" / name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            ports = stack.enter_context(ExitStack())
            port_fd = ports.enter_context(self._port(plan))
            if plan.port is PortKind.PYTHON:
                await stack.enter_async_context(self._polled_console())
            context = LaunchContext(
                scenario=self.scenario,
                device=self.network.device(name),
                target_ip=self._target_ip(plan.spec),
                aggregator_ip=self.network.device(AGGREGATOR).ip,
                directory=directory,
                port_fd=port_fd,
                spawner=self.spawner,
                now_ns=self.now_ns,
                on_console=lambda node, t_ns, chunk: self.traces[node].on_console(t_ns, chunk),
                network=self._fabric
                or _Network(
                    self.network, lambda: self._renewed(plan, ports), lambda fd: self._attached(name, fd, ports)
                ),
            )
            self.contexts[name] = context
            yield await stack.enter_async_context(self.backend.open(plan, context))

    def trace(self, node_id: str | None = None) -> Trace:
        """What the node (the only one, if not named) let be seen."""
        return self.traces[node_id or next(iter(self.traces))]

    def _target_ip(self, spec: NodeSpec) -> str:
        hub = self.scenario.coordinator
        return self.network.device(AGGREGATOR if hub is None or hub.id == spec.id else hub.id).ip

    def _renewed(self, plan: NodePlan, ports: ExitStack) -> int:
        """Another port in place of the former one."""
        ports.close()
        port_fd = ports.enter_context(self._port(plan))
        assert port_fd is not None
        return port_fd

    def _attached(self, node: str, fd: int, ports: ExitStack) -> None:
        """Take frames from the descriptor of a TAP; a former one is closed."""
        ports.close()
        tap, trace, loop = os.dup(fd), self.traces[node], asyncio.get_running_loop()
        os.set_blocking(tap, False)
        ports.callback(os.close, tap)
        ports.callback(loop.remove_reader, tap)
        loop.add_reader(tap, lambda: _take_frame(lambda size: os.read(tap, size), tap, trace, loop))

    @contextmanager
    def _port(self, plan: NodePlan) -> Iterator[int | None]:
        if plan.port in (PortKind.PYTHON, PortKind.TAP):
            yield None
            return
        kind = {PortKind.PACKET: socket.SOCK_SEQPACKET, PortKind.STREAM: socket.SOCK_STREAM}[plan.port]
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        trace, loop = self.traces[plan.spec.id], asyncio.get_running_loop()
        with ours:
            ours.setblocking(False)
            loop.add_reader(ours, lambda: _take_frame(ours.recv, ours.fileno(), trace, loop))
            self.ports[plan.spec.id] = ours
            try:
                yield theirs.detach()
            finally:
                loop.remove_reader(ours)
                del self.ports[plan.spec.id]

    @asynccontextmanager
    async def _polled_console(self) -> AsyncIterator[None]:
        """Python nodes live in the network's process; their lines come with its statistics."""
        fabric = self._fabric
        assert fabric is not None

        async def poll() -> None:
            while True:
                statistics = await fabric.statistics()
                for node, lines in statistics["console"].items():
                    for t_ns, line in lines:
                        if node in self.traces:
                            self.traces[node].on_console(t_ns, line.encode() + b"\n")
                await anyio.sleep(_POLL_S)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(poll)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_workbench(
    directory: Path, backend: NodeBackend, *specs: NodeSpec, scenario: Scenario | None = None
) -> AsyncIterator[Workbench]:
    """Plan the nodes of `specs` (or of a scenario) and make ready what they need to run."""
    scenario = scenario or scenario_of(*specs)
    plans = {spec.id: await backend.plan(spec, scenario) for spec in scenario.nodes}
    network = plan_network(scenario, list(plans.values()))
    start_ns = time.monotonic_ns()
    async with AsyncExitStack() as stack:
        spawner = await stack.enter_async_context(open_spawner(RunScope(directory, state_root=directory / "state")))
        fabric = None
        if any(plan.port is PortKind.PYTHON for plan in plans.values()):
            captures = directory / "net"
            captures.mkdir(exist_ok=True)
            fabric = await stack.enter_async_context(
                open_fabric(network, directory=captures, spawner=spawner, start_ns=start_ns)
            )
        yield Workbench(directory, backend, scenario, plans, network, spawner, fabric, start_ns)


def scenario_of(*specs: NodeSpec, duration_s: int = 60) -> Scenario:
    """A scenario with these nodes on one segment and nothing else."""
    nodes: Sequence[NodeSpec] = specs
    return Scenario(
        name="workbench",
        duration_ns=duration_s * 10**9,
        seed=0,
        time=TimeMode.REAL,
        network=NetworkSpec(),
        nodes=tuple(nodes),
    )


def _take_frame(read: Callable[[int], bytes], fd: int, trace: Trace, loop: asyncio.AbstractEventLoop) -> None:
    try:
        frame = read(65536)
    except BlockingIOError:
        return
    except OSError:
        frame = b""
    if frame:
        trace.on_frame(frame)
    else:
        loop.remove_reader(fd)
