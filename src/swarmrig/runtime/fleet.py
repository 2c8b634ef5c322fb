"""The nodes of a run: started together, each kept by a task of its own, stopped together."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio

from swarmrig.api import LaunchContext, Node, NodePlan, NodeSnapshot
from swarmrig.errors import HostError, NodeError
from swarmrig.model.facts import NodeChange, NodeState
from swarmrig.model.network import DevicePlan, PortKind
from swarmrig.model.units import NS_PER_S
from swarmrig.net.modes import Network
from swarmrig.runtime.clock import Clock
from swarmrig.runtime.directory import RunDirectory
from swarmrig.runtime.failures import Failure, Failures, keep_flash
from swarmrig.runtime.plan import RunPlan, nodes_named
from swarmrig.runtime.provenance import provenance_of
from swarmrig.runtime.recorder import Recorder

ATTACHED_LATER = (PortKind.PYTHON, PortKind.TAP)
"""Nodes with such a port are given no descriptor: they have none, or attach one of their own to the network."""


class Fleet:
    """Running nodes by id. `ended` is set once no node runs any more, or one failed to start."""

    def __init__(
        self,
        plan: RunPlan,
        directory: RunDirectory,
        fabric: Network,
        spawner: Any,
        clock: Clock,
        recorder: Recorder,
        snapshots: Mapping[str, NodeSnapshot],
    ) -> None:
        self._plan = plan
        self._directory = directory
        self._fabric = fabric
        self._spawner = spawner
        self._clock = clock
        self._recorder = recorder
        self._snapshots = snapshots
        self._limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        self._contexts: dict[str, LaunchContext] = {}
        self._may_exit = {str(check.spec.params.get("node")) for check in plan.checks if check.spec.name == "exit"}
        self._may_be_killed = _touched_by(plan, "ends_nodes")
        self._flash_changed = _touched_by(plan, "changes_flash")
        self._lives = {node.spec.id: 0 for node in plan.nodes}
        self._waited_for = set(self._lives)
        """Nodes that have neither started nor failed so far."""
        self._alive = len(plan.nodes)
        self._stop_leaves = anyio.Event()
        self._stop_hubs = anyio.Event()
        self._gone = {node.spec.id: anyio.Event() for node in plan.nodes}
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self._failures = Failures((node.spec for node in plan.nodes), recorder, self._end_run)
        self.nodes: dict[str, Node] = {}
        self.provenance: dict[str, Mapping[str, str]] = {}

    async def keep(self, plan: NodePlan) -> None:
        """Start one node and keep it until it exits or is stopped."""
        node_id = plan.spec.id
        try:
            while (failure := await self._live(plan)) is not None:
                delay_ns = self._failures.judge(failure)
                if delay_ns is None or not await self._pause(plan, delay_ns):
                    break
        finally:
            self._gone[node_id].set()
            self._alive -= 1
            if not self._alive:
                self.ended.set()

    async def _live(self, plan: NodePlan) -> Failure | None:
        """One life of a node, from its start to its end; None when it ended as it should, or was stopped."""
        try:
            async with AsyncExitStack() as stack:
                async with self._limiter:
                    node = await self._open(plan, stack)
                self.nodes[plan.spec.id] = node
                self._no_longer_waited_for(plan.spec.id)
                return await self._until_over(plan, node)
        except (NodeError, HostError) as error:
            return self._found_unfit(plan.spec.id, error)

    async def _pause(self, plan: NodePlan, delay_ns: int) -> bool:
        """Wait before the next life; False when the run is over meanwhile."""
        with anyio.move_on_after(delay_ns / NS_PER_S) as waiting:
            await self._stop_of(plan).wait()
        return waiting.cancelled_caught

    async def stop(self, network: Network) -> None:
        """Stop every node. In real time the hubs last, so that what others sent to them is still received and counted;
        with guests in lockstep, everybody has come to the same end already."""
        if self._plan.scenario.time.has_guests:
            self.release()
            await network.end_guests()
        hub = self._plan.scenario.coordinator
        self._stop_leaves.set()
        for node_id, gone in self._gone.items():
            if hub is None or node_id != hub.id:
                await gone.wait()
        await network.settle()
        self._stop_hubs.set()
        for gone in self._gone.values():
            await gone.wait()
        await network.settle()

    def release(self) -> None:
        """Let all nodes go at once (after a failure or a cancellation)."""
        self._stop_leaves.set()
        self._stop_hubs.set()

    def read_back(self) -> list[str]:
        """What the nodes' storage holds differently from what was provisioned; nodes have ended. Not asked of those
        whose storage a fault was to change."""
        return [
            f"{plan.spec.id}: {difference}"
            for plan in self._plan.nodes
            if plan.spec.id in self._contexts and plan.spec.id not in self._flash_changed
            for difference in self._plan.backends[plan.spec.kind].read_back(plan, self._contexts[plan.spec.id])
        ]

    async def _open(self, plan: NodePlan, stack: AsyncExitStack) -> Node:
        context = await self._context(plan)
        self._contexts[plan.spec.id] = context
        in_network = plan.port in (PortKind.PYTHON, PortKind.LOCKSTEP)  # such a node lives by the network's time
        started_ns = 0 if in_network and self._lives[plan.spec.id] == 1 else self._clock.now_ns()
        self._recorder.observe(NodeChange(started_ns, plan.spec.id, NodeState.STARTED))
        backend = self._plan.backends[plan.spec.kind]
        node: Node = await stack.enter_async_context(backend.open(plan, context))
        self.provenance[plan.spec.id] = await provenance_of(backend, plan, context)
        return node

    async def _context(self, plan: NodePlan) -> LaunchContext:
        node = plan.spec
        device = self._plan.network.device(node.id)
        directory = self._directory.node(node.id)
        self._lives[node.id] += 1
        life = self._lives[node.id]
        return LaunchContext(
            scenario=self._plan.scenario_of(node.id),
            device=device,
            target_ip=self._plan.target_ip(node),
            aggregator_ip=self._plan.aggregator_ip,
            directory=directory,
            port_fd=await self._port(device, life),
            spawner=self._spawner,
            now_ns=self._clock.now_ns,
            on_console=self._recorder.console,
            on_ready=lambda: self._recorder.observe(NodeChange(self._clock.now_ns(), node.id, NodeState.READY)),
            flash=None if life == 1 else await anyio.to_thread.run_sync(keep_flash, directory, life),
            snapshot=self._snapshots.get(node.id),
            network=self._fabric,
        )

    async def _port(self, device: DevicePlan, life: int) -> int | None:
        if device.port in ATTACHED_LATER:
            return None
        return self._fabric.take_port(device.name) if life == 1 else await self._fabric.renew_port(device.name)

    def _no_longer_waited_for(self, node: str) -> None:
        self._waited_for.discard(node)
        if not self._waited_for:
            self.started.set()

    def _end_run(self) -> None:
        self.started.set()
        self.ended.set()

    def _stop_of(self, plan: NodePlan) -> anyio.Event:
        hub = self._plan.scenario.coordinator
        return self._stop_hubs if hub is not None and plan.spec.id == hub.id else self._stop_leaves

    async def _until_over(self, plan: NodePlan, node: Node) -> Failure | None:
        stop = self._stop_of(plan)
        failures: list[Failure | None] = []

        async def wait() -> None:
            failures.append(await self._failure_of(plan, node))
            race.cancel_scope.cancel()

        async with anyio.create_task_group() as race:
            race.start_soon(wait)
            await stop.wait()
            if not getattr(node, "failed", False):  # else it is about to say how
                race.cancel_scope.cancel()
        if not failures and self._recorder.nodes[plan.spec.id].exit_status is None:
            self._recorder.observe(NodeChange(self._clock.now_ns(), plan.spec.id, NodeState.STOPPED))
        return failures[0] if failures else None

    def _found_unfit(self, node_id: str, error: NodeError | HostError, node: Node | None = None) -> Failure:
        """A node that did not start, or that cannot go on."""
        told = getattr(node, "failed", False)  # by the network's process, which knows better when
        if not told:
            data = {"status": error.message}
            self._recorder.observe(NodeChange(self._end_of(node), node_id, NodeState.EXITED, data))
        self._no_longer_waited_for(node_id)
        return Failure(node_id, str(error), unfit=True, told=told)

    def _end_of(self, node: Node | None) -> int:
        """When it ended: as it says itself, if it knows, or just now."""
        ended_ns = getattr(node, "ended_ns", None)
        return self._clock.now_ns() if ended_ns is None else int(ended_ns)

    async def _failure_of(self, plan: NodePlan, node: Node) -> Failure | None:
        """Return when a node has ended: None when that was to be."""
        try:
            status = await node.wait_exited()
        except (NodeError, HostError) as error:
            return self._found_unfit(plan.spec.id, error, node)
        words = node.last_words()
        data = {"status": str(status), "code": status.code, "signal": status.signal, "stderr": words}
        t_ns = self._end_of(node)
        self._recorder.observe(NodeChange(t_ns, plan.spec.id, NodeState.EXITED, data))
        wanted = plan.spec.id in self._may_be_killed and status.signal == signal.SIGKILL
        if plan.spec.id in self._may_exit or wanted or status.code in plan.may_end_with:
            return None
        return Failure(plan.spec.id, f"node {plan.spec.id} ended by itself: {status}\n{words}".rstrip())


def _touched_by(plan: RunPlan, attribute: str) -> set[str]:
    """The nodes named by faults whose class has this attribute set."""
    faults = [fault for fault in plan.faults if getattr(fault.factory, attribute, False)]
    return {node.id for fault in faults for node in nodes_named(fault.spec, plan.scenario)}


@asynccontextmanager
async def launched(
    plan: RunPlan,
    directory: RunDirectory,
    fabric: Network,
    spawner: Any,
    clock: Clock,
    recorder: Recorder,
    snapshots: Mapping[str, NodeSnapshot] | None = None,
) -> AsyncIterator[Fleet]:
    """Start all nodes, those with a snapshot from there; on leaving, all have ended."""
    fleet = Fleet(plan, directory, fabric, spawner, clock, recorder, snapshots or {})
    async with anyio.create_task_group() as tasks:
        for node in plan.nodes:
            tasks.start_soon(fleet.keep, node)
        try:
            yield fleet
        finally:
            fleet.release()
