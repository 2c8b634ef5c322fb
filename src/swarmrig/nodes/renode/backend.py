"""Nodes that Renode emulates."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from swarmrig.api.nodes import LaunchContext, MemoryMap, NodePlan
from swarmrig.errors import HostError, NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario, TimeMode, Topology
from swarmrig.nodes.renode.node import RealTimeNode, RenodeNode, VirtualTimeNode
from swarmrig.nodes.renode.options import RenodeOptions
from swarmrig.nodes.renode.program import Versions
from swarmrig.nodes.renode.setup import Setup, resolve

MEMORY_BYTES = 512 << 20
"""About what Renode needs for itself."""
CAPABILITIES = frozenset(
    {"HasConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle", "HasMemory", "CanFlash", "HasMonitor"}
)
_ROUTED = (Topology.LINE, Topology.RING)


class RenodeBackend:
    """Machines that Renode emulates, each in a process and a network of its own."""

    kind: ClassVar[str] = "renode"
    options_model: ClassVar[type[RenodeOptions]] = RenodeOptions

    def __init__(self) -> None:
        self._versions = Versions()

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:
        """An Ethernet controller: what comes through a TAP interface comes when it comes."""
        if spec.options.get("ethernet") is not None:
            return "frames reach an Ethernet controller in Renode through a TAP interface, by this machine's clock"
        return None

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        """Find Renode and ask its version; check platform, script and firmware."""
        setup = resolve(spec)
        _check_network(setup, scenario)
        version = await self._versions.of(setup.program)
        virtual = scenario.time is TimeMode.VIRTUAL
        machine = setup.machine
        return NodePlan(
            spec=spec,
            command=(*setup.program.command, "--disable-xwt", "--plain", "--port", "{port}"),
            port=PortKind.LOCKSTEP if virtual else PortKind.PACKET,
            memory_bytes=MEMORY_BYTES,
            capabilities=CAPABILITIES,
            warnings=tuple(_warnings(setup)),
            memory=MemoryMap(ram=machine.ram if machine else (), image=_elf(setup)),
            details=_details(setup, version),
        )

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[RenodeNode]:
        """Start Renode and make the machine; entering returns when it runs, or, in virtual time, is ready to.

        NodeError with Renode's own words as soon as it refuses something or ends.
        """
        kind = VirtualTimeNode if plan.port is PortKind.LOCKSTEP else RealTimeNode
        node = kind(plan, resolve(plan.spec), context)
        try:
            async with node.powered():
                yield node
        finally:
            node.close()

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:  # noqa: ARG002 - the contract
        """Renode's version, and platform and firmware by digest."""
        setup = resolve(plan.spec)
        found = {"emulator": str(setup.program.path), "emulator_version": str(plan.details["version"])}
        firmware = setup.load.file if setup.load is not None else None
        for name, file in (("platform", setup.platform), ("script", setup.options.script), ("firmware", firmware)):
            if file is not None:
                found[name] = str(file)
            if isinstance(file, Path):
                found[f"{name}_sha256"] = _sha256(file)
        return found

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002 - the contract
        """Nothing is provisioned."""
        return ()


def _check_network(setup: Setup, scenario: Scenario) -> None:
    if setup.options.serial is not None and scenario.network.topology in _ROUTED:
        raise NodeError(
            setup.spec.id,
            f"serial: in a {scenario.network.topology} nodes are joined by routers, which pass on no serial line",
            hint="use the topology mesh or star",
        )


def _elf(setup: Setup) -> Path | None:
    return setup.load.file if setup.load is not None and setup.load.command == "LoadELF" else None


def _details(setup: Setup, version: str) -> Mapping[str, Any]:
    details = {
        "renode": shlex.join(setup.program.command),
        "version": version,
        "installed_as": setup.program.kind,
        "machine": setup.options.machine_name,
        "platform": str(setup.platform or setup.options.script),
        "uart": setup.uart,
    }
    return details if setup.load is None else details | {"firmware": str(setup.load.file)}


def _warnings(setup: Setup) -> list[str]:
    spec, options = setup.spec, setup.options
    warnings = []
    told = [name for name, value in (("scenario", spec.scenario), ("nvs", spec.nvs)) if value]
    if told:
        warnings.append(f"{' and '.join(told)} cannot be told to a machine in Renode: it has no flash with NVS")
    if setup.load is None and options.script is None:
        warnings.append("it has no firmware: it does nothing until it is given some")
    if options.serial is None and options.ethernet is None:
        warnings.append("it is not joined to the network: neither `serial` nor `ethernet` is given")
    return warnings


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from error
