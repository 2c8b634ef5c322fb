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
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import TimeMode
from swarmrig.net.modes import Network
from swarmrig.runtime.clock import Clock
from swarmrig.runtime.directory import RunDirectory
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
        self._pending = len(plan.nodes)
        self._alive = len(plan.nodes)
        self._stop_leaves = anyio.Event()
        self._stop_hubs = anyio.Event()
        self._gone = {node.spec.id: anyio.Event() for node in plan.nodes}
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self.nodes: dict[str, Node] = {}
        self.provenance: dict[str, Mapping[str, str]] = {}

    async def keep(self, plan: NodePlan) -> None:
        """Start one node and keep it until it exits or is stopped."""
        node_id = plan.spec.id
        try:
            async with AsyncExitStack() as stack:
                async with self._limiter:
                    node = await self._open(plan, stack)
                self._one_started(node_id, node)
                await self._until_over(plan, node)
        except (NodeError, HostError) as error:
            self._report_failure(node_id, error)
            self.started.set()
        finally:
            self._gone[node_id].set()
            self._alive -= 1
            if not self._alive:
                self.ended.set()

    async def stop(self, network: Network) -> None:
        """Stop every node. In real time the hubs last, so that what others sent to them is still received and counted;
        in virtual time everybody has come to the same end already."""
        if self._plan.scenario.time is TimeMode.VIRTUAL:
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
        context = self._context(plan)
        self._contexts[plan.spec.id] = context
        in_network = plan.port in (PortKind.PYTHON, PortKind.LOCKSTEP)  # such a node lives by the network's time
        started_ns = 0 if in_network else self._clock.now_ns()
        self._recorder.observe(NodeChange(started_ns, plan.spec.id, NodeState.STARTED))
        backend = self._plan.backends[plan.spec.kind]
        node: Node = await stack.enter_async_context(backend.open(plan, context))
        self.provenance[plan.spec.id] = await provenance_of(backend, plan, context)
        return node

    def _context(self, plan: NodePlan) -> LaunchContext:
        node = plan.spec
        device = self._plan.network.device(node.id)
        return LaunchContext(
            scenario=self._plan.scenario,
            device=device,
            target_ip=self._plan.target_ip(node),
            aggregator_ip=self._plan.aggregator_ip,
            directory=self._directory.node(node.id),
            port_fd=None if device.port in ATTACHED_LATER else self._fabric.take_port(node.id),
            spawner=self._spawner,
            now_ns=self._clock.now_ns,
            on_console=self._recorder.console,
            snapshot=self._snapshots.get(node.id),
            network=self._fabric,
        )

    def _one_started(self, node_id: str, node: Node) -> None:
        self.nodes[node_id] = node
        self._pending -= 1
        if not self._pending:
            self.started.set()

    async def _until_over(self, plan: NodePlan, node: Node) -> None:
        hub = self._plan.scenario.coordinator
        stop = self._stop_hubs if hub is not None and plan.spec.id == hub.id else self._stop_leaves
        async with anyio.create_task_group() as race:
            race.start_soon(self._report_exit, plan, node, race.cancel_scope)
            await stop.wait()
            race.cancel_scope.cancel()
        if stop.is_set() and self._recorder.nodes[plan.spec.id].exit_status is None:
            self._recorder.observe(NodeChange(self._clock.now_ns(), plan.spec.id, NodeState.STOPPED))

    def _report_failure(self, node: str, error: NodeError | HostError) -> None:
        """A node that did not start, or that cannot go on: it fails the run, and ends it."""
        self._recorder.observe(NodeChange(self._clock.now_ns(), node, NodeState.EXITED, {"status": error.message}))
        self._recorder.failure(node, str(error))
        self.ended.set()

    async def _report_exit(self, plan: NodePlan, node: Node, race: anyio.CancelScope) -> None:
        try:
            status = await node.wait_exited()
        except (NodeError, HostError) as error:
            self._report_failure(plan.spec.id, error)
            race.cancel()
            return
        words = node.last_words()
        data = {"status": str(status), "code": status.code, "signal": status.signal, "stderr": words}
        ended_ns = getattr(node, "ended_ns", None)
        t_ns = self._clock.now_ns() if ended_ns is None else int(ended_ns)
        self._recorder.observe(NodeChange(t_ns, plan.spec.id, NodeState.EXITED, data))
        wanted = plan.spec.id in self._may_be_killed and status.signal == signal.SIGKILL
        if plan.spec.id not in self._may_exit and not wanted:
            self._recorder.failure(plan.spec.id, f"node {plan.spec.id} ended by itself: {status}\n{words}".rstrip())
        race.cancel()


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
