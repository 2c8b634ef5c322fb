"""Nodes that are Linux guests in a virtual machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from swarmrig.api.nodes import LaunchContext, MemoryMap, NodePlan
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.nodes.digests import sha256_of
from swarmrig.nodes.vm.command import command_template
from swarmrig.nodes.vm.disk import make_overlay
from swarmrig.nodes.vm.node import VmNode, WithShell
from swarmrig.nodes.vm.options import MIB, VmOptions
from swarmrig.nodes.vm.setup import Setup, resolve

EMULATOR_OVERHEAD = 64 * MIB
CAPABILITIES = frozenset(
    {
        "HasConsole",
        "CanStallConsole",
        "CanStarve",
        "CanPause",
        "CanReset",
        "CanKill",
        "CanPowerCycle",
        "HasMemory",
        "HasNmi",
    }
)
_LOW_MEMORY = 2 << 30
"""QEMU's hw/i386/pc_q35.c: what is beyond that is above 4 GiB, as soon as there is a little more of it."""


class VmBackend:
    """Linux guests on x86-64, by QEMU: emulated, or with KVM where that was seen to work."""

    kind: ClassVar[str] = "vm"
    any_number: ClassVar[bool] = True
    options_model: ClassVar[type[VmOptions]] = VmOptions

    def __init__(self) -> None:
        self._setups: dict[str, Setup] = {}

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:  # noqa: ARG002 - the contract
        return "a Linux guest lives by this machine's clock"

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:  # noqa: ARG002 - the contract
        """Check kernel, disk and emulator, find out whether KVM works, and say what will be executed."""
        setup = await resolve(spec)
        self._setups[spec.id] = setup
        return NodePlan(
            spec=spec,
            command=command_template(setup),
            port=PortKind.PACKET,
            memory_bytes=setup.options.memory + EMULATOR_OVERHEAD,
            capabilities=CAPABILITIES | {"HasShell"} if setup.options.login is not None else CAPABILITIES,
            warnings=tuple(_warnings(setup)),
            memory=MemoryMap(ram=_ram(setup.options.memory)),
            address_by_dhcp=setup.dhcp,
            details=_details(setup),
        )

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[VmNode]:
        """Make the overlay of its disk and start it; returns at the emulator's first sign of life.

        The overlay is in the run's temporary directory, which goes with the run whatever happens to the rig.
        """
        node = plan.spec.id
        overlay = context.spawner.scope.temporary_directory / f"disk-{node}.qcow2"
        try:
            if node not in self._setups:
                self._setups[node] = await resolve(plan.spec)
            setup = self._setups[node]
            if setup.disk is not None:
                await make_overlay(context.spawner, node, setup.disk, overlay)
        except BaseException:
            if context.port_fd is not None:
                os.close(context.port_fd)
            raise
        kind = WithShell if "HasShell" in plan.capabilities else VmNode
        vm = kind(plan, context, setup, overlay)
        async with vm.powered():
            yield vm

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:  # noqa: ARG002 - the contract
        """What it is made of, by digest."""
        setup = self._setups[plan.spec.id]
        options = setup.options
        files = {
            "emulator": setup.emulator,
            "kernel": options.kernel,
            "initrd": options.initrd,
            "disk": options.disk,
        }
        found = {name: (str(path), sha256_of(path)) for name, path in files.items() if path is not None}
        return {name: path for name, (path, _) in found.items()} | {
            f"{name}_sha256": digest for name, (_, digest) in found.items()
        }

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002 - the contract
        """Whether the image under its disk is what it was."""
        disk = self._setups[plan.spec.id].disk
        if disk is None or disk.unchanged:
            return ()
        return (f"the image {disk.image} was written into while the run went on; nobody of the run may do that",)


def _ram(size: int) -> tuple[tuple[int, int], ...]:
    if size <= _LOW_MEMORY:
        return ((0, size),)
    return ((0, _LOW_MEMORY), (4 << 30, size - _LOW_MEMORY))


def _details(setup: Setup) -> dict[str, Any]:
    options = setup.options
    details: dict[str, Any] = {
        "machine": "q35",
        "architecture": "x86_64",
        "emulator": str(setup.emulator),
        "accelerator": setup.accelerator.value,
    }
    if setup.without_kvm is not None:
        details["kvm"] = setup.without_kvm
    if options.kernel is not None:
        details["image"] = str(options.kernel)
    if setup.disk is not None:
        details |= {"disk": str(setup.disk.image), "disk_format": setup.disk.format, "disk_bytes": setup.disk.bytes}
    return details


def _warnings(setup: Setup) -> list[str]:
    warnings = []
    if setup.without_kvm is not None:
        warnings.append(f"it is emulated (TCG), which is slow: {setup.without_kvm}")
    if setup.spec.nvs:
        warnings.append("nvs values have no effect on a virtual machine")
    if setup.spec.firmware.image is not None or setup.spec.firmware.flash_base is not None:
        warnings.append("firmware has no effect on a virtual machine: it boots from `kernel` or `disk`")
    return warnings
