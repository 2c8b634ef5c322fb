"""Nodes that are programs of this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface
from typing import Any, ClassVar

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.net.interface import Tap
from swarmrig.net.isolation import has_tun, is_privileged
from swarmrig.nodes.process.keeping import Room, keeping
from swarmrig.nodes.process.life import Place
from swarmrig.nodes.process.node import ProcessNode
from swarmrig.nodes.process.options import NetworkPlace, ProcessOptions, options_of
from swarmrig.nodes.programs import find_program
from swarmrig.proc import RunScope, open_spawner

KIND = "process"
CAPABILITIES = frozenset({"HasConsole", "CanStallConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle"})
_TRIAL = Tap("02:00:00:00:00:01", IPv4Interface("192.0.2.1/24"))
"""An interface to see whether one can be made: RFC 5737 keeps the address for documents."""


class ProcessBackend:
    """Any program, in real time, with a network namespace of its own."""

    kind: ClassVar[str] = KIND
    any_number: ClassVar[bool] = True
    options_model: ClassVar[type[ProcessOptions]] = ProcessOptions

    def __init__(self) -> None:
        self._tried: set[NetworkPlace] = set()

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:  # noqa: ARG002 - the contract
        return "a program lives by this machine's clock"

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:  # noqa: ARG002 - the contract
        """Find the program, and see whether this machine permits it the network that it is to have."""
        options = options_of(spec.options)
        program = find_program(spec.id, options.command, options.working_dir, options.environment)
        if options.ready is not None and options.ready.command is not None:
            find_program(spec.id, options.ready.command, options.working_dir, options.environment)
        if options.network is not NetworkPlace.HOST:
            await self._try(spec.id, options.network)
        details: dict[str, Any] = {"program": program, "network": options.network.value}
        return NodePlan(
            spec=spec,
            command=(program, *options.command[1:]),
            port=PortKind.TAP,
            capabilities=CAPABILITIES,
            warnings=tuple(_warnings(spec, options)),
            may_end_with=frozenset(options.ends_with),
            details=details | {"isolation": isolation(options.network)},
        )

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[ProcessNode]:
        """Start the program in its place; it and all that it has started is gone when the context ends."""
        (context.directory / "argv").write_text(shlex.join(plan.command) + "\n", encoding="utf-8")
        node = ProcessNode(plan, Place(options_of(plan.spec.options), context))
        async with node.powered():
            yield node

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:  # noqa: ARG002 - the contract
        """Which file is executed."""
        return {"program": plan.command[0]}

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002 - the contract
        """Nothing is provisioned."""
        return ()

    async def _try(self, node: str, network: NetworkPlace) -> None:
        """HostError, with the reason and what to do, when this machine does not permit it."""
        if network in self._tried:
            return
        room = Room(tap=_TRIAL if network is NetworkPlace.FABRIC else None)
        async with open_spawner(RunScope.passing()) as spawner:
            async with keeping(spawner, node, room, stdin=None, stdout=None, stderr=None) as keeper:
                if keeper.interface is not None:
                    os.close(keeper.interface)
        self._tried.add(network)


def isolation(network: NetworkPlace) -> str:
    """The step of the ladder that this machine has for it, in words."""
    if network is NetworkPlace.HOST:
        return "none"
    namespace = "a network namespace" if is_privileged() else "a network namespace in a user namespace"
    if network is NetworkPlace.NONE:
        return namespace
    return f"{namespace}, {'TAP' if has_tun() else 'a virtual cable (this user may not open /dev/net/tun)'}"


def _warnings(spec: NodeSpec, options: ProcessOptions) -> list[str]:
    warnings = []
    if spec.nvs:
        warnings.append("nvs values have no effect on a process")
    if options.network is NetworkPlace.HOST:
        warnings.append(
            "it is in the network of this machine, not on the fabric: links, captures and faults of links do not touch "
            "it, and what it listens on, others may reach"
        )
    elif options.network is NetworkPlace.NONE:
        warnings.append("it has no network: nothing of it is on the fabric")
    return warnings
