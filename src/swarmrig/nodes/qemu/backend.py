"""Nodes that QEMU emulates."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import anyio.to_thread

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.errors import HostError, NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario, TimeMode
from swarmrig.nodes.emulator.node import (
    EmulatorNode,
    NodeType,
    WithMemory,
    WithNmi,
    WithPower,
    with_abilities,
)
from swarmrig.nodes.qemu import virtual
from swarmrig.nodes.qemu.command import command_template, forward_rule
from swarmrig.nodes.qemu.emulator import QemuNode, WithFlash
from swarmrig.nodes.qemu.lockstep import LockstepNode, WithLockstepNmi
from swarmrig.nodes.qemu.machines import MACHINES, MIB, Machine, Storage
from swarmrig.nodes.qemu.memory_map import flash_base, memory_map
from swarmrig.nodes.qemu.options import QemuOptions
from swarmrig.nodes.qemu.power_cut import WithPowerCut
from swarmrig.nodes.qemu.provenance import provenance
from swarmrig.nodes.qemu.provisioning import differences, provision, require_provisionable
from swarmrig.nodes.qemu.setup import Setup, check_loadable, resolve
from swarmrig.nodes.qemu.snapshot import WithSnapshot
from swarmrig.nodes.qemu.virtual import Lockstep

EMULATOR_OVERHEAD = 24 * MIB
NMI_ARCHITECTURES = frozenset({"i386", "x86_64"})
"""Where QEMU's monitor can raise one."""


class QemuBackend:
    """Virtual machines by QEMU, of the catalogue in `machines`. A subclass may offer another catalogue."""

    kind: ClassVar[str] = "qemu"
    options_model: ClassVar[type[QemuOptions]] = QemuOptions
    machines: ClassVar[Mapping[str, Machine]] = MACHINES

    def __init__(self) -> None:
        self._prober = virtual.Prober()

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:
        """Because of its machine, its options, its emulator, or the plugin. The emulator is asked, once a file."""
        try:
            setup = resolve(spec, self.machines)
            return virtual.obstacle(setup) or virtual.refusal(setup, await self._prober.support(setup.emulator))
        except (NodeError, HostError):
            return None  # wrong in any time: `plan` says it better

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        """Check files, architectures, flash and emulator, and say what will be executed."""
        setup = resolve(spec, self.machines)
        require_provisionable(spec, scenario)
        forward = forward_rule(scenario, spec.number)
        lockstep = None
        if scenario.time is TimeMode.VIRTUAL:
            if forward is not None:
                raise NodeError(
                    spec.id, "a network of mode user lives by this machine's clock", hint="use `time: real`"
                )
            lockstep = virtual.lockstep(setup, await self._prober.support(setup.emulator), scenario)
        dhcp = setup.options.dhcp if setup.options.dhcp is not None else setup.machine.dhcp
        return NodePlan(
            spec=spec,
            command=command_template(setup, forward, lockstep),
            port=_port(forward, lockstep),
            memory_bytes=(setup.options.memory or setup.machine.memory_bytes) + EMULATOR_OVERHEAD,
            capabilities=_capabilities(setup, forward, lockstep),
            warnings=tuple(_warnings(setup)),
            memory=memory_map(setup),
            address_by_dhcp=dhcp,
            details=_details(setup, lockstep),
        )

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[EmulatorNode]:
        """Write the node's flash, start its emulator, and return at the emulator's first sign of life.

        NodeError with the emulator's own words as soon as it ends before that. In virtual time the first sign of life
        goes to the coordinator, who has the other end of the port: then this returns when the emulator is executed.
        """
        try:
            setup = resolve(plan.spec, self.machines)
            if setup.image is not None:
                _require(setup.image)
                check_loadable(plan.spec, setup.image, setup.architecture)
            await anyio.to_thread.run_sync(provision, setup, plan, context)
            node = _node(setup, plan, context)
        except BaseException:
            if context.port_fd is not None:
                os.close(context.port_fd)
            raise
        async with node.powered():
            yield node

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:
        """What the node is made of, by digest."""
        return provenance(resolve(plan.spec, self.machines), plan, context)

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:
        """How the NVS in the node's flash differs from what was provisioned."""
        if self.machines[plan.spec.machine].storage is Storage.NONE:
            return []
        return differences(plan, context)


def _port(forward: str | None, lockstep: Lockstep | None) -> PortKind:
    if lockstep is not None:
        return PortKind.LOCKSTEP
    return PortKind.PACKET if forward is None else PortKind.USER


def _capabilities(setup: Setup, forward: str | None, lockstep: Lockstep | None) -> frozenset[str]:
    names = {"HasConsole", "CanPause", "CanReset", "CanKill"}
    if lockstep is None:
        names |= {"CanStallConsole", "CanStarve"}
    if forward is None:  # QEMU's own NAT is part of the emulator, and goes with it
        names.add("CanPowerCycle")
    if lockstep is not None or setup.machine.memory_access:
        names.add("HasMemory")
    if setup.machine.storage is not Storage.NONE:
        names.add("HasFlash")
    if lockstep is not None:
        names.add("CanSnapshot")
    if lockstep is not None and flash_base(setup) is not None:
        names.add("CanCutPower")
    if setup.architecture in (NMI_ARCHITECTURES if lockstep is None else virtual.NMI_ARCHITECTURES):
        names.add("HasNmi")
    return frozenset(names)


def _node(setup: Setup, plan: NodePlan, context: LaunchContext) -> EmulatorNode:
    """A node that can what its plan says, and no more."""
    if plan.port is PortKind.LOCKSTEP:
        more: dict[str, type[EmulatorNode]] = {
            "HasFlash": WithFlash,
            "HasNmi": WithLockstepNmi,
            "CanCutPower": WithPowerCut,
            "CanSnapshot": WithSnapshot,
        }
        return _able(LockstepNode, more, plan)(plan, context)
    more = {"HasFlash": WithFlash, "HasMemory": WithMemory, "HasNmi": WithNmi, "CanPowerCycle": WithPower}
    node = _able(QemuNode, more, plan)(plan, context)
    node.halts_on_reboot = setup.machine.halts_on_reboot
    return node


def _able(base: type[NodeType], more: Mapping[str, type[EmulatorNode]], plan: NodePlan) -> type[NodeType]:
    return with_abilities(base, *(ability for name, ability in more.items() if name in plan.capabilities))


def _details(setup: Setup, lockstep: Lockstep | None) -> dict[str, object]:
    details: dict[str, object] = {
        "machine": setup.machine.name,
        "qemu_machine": setup.qemu_machine,
        "architecture": setup.architecture,
        "emulator": str(setup.emulator),
    }
    if setup.image:
        details["image"] = str(setup.image)
    if setup.flash_bytes:
        details["flash_bytes"] = setup.flash_bytes
    return details if lockstep is None else details | lockstep.details


def _warnings(setup: Setup) -> list[str]:
    spec, machine = setup.spec, setup.machine
    warnings = []
    if machine.storage is Storage.ESP_FLASH:
        warnings.append(
            "role, scenario and address are in the NVS namespace `swarmrig`, which only the reference firmware "
            "reads; other firmware does not know them"
        )
    elif machine.storage is Storage.NONE:
        told = [name for name, value in _told(spec).items() if value]
        if told:
            warnings.append(f"{', '.join(told)} cannot be told to a {machine.name} machine: it has no flash with NVS")
    return warnings


def _told(spec: NodeSpec) -> dict[str, object]:
    return {
        "scenario": spec.scenario,
        "edge_tier": spec.edge_tier is not None,
        "filter_mac": spec.filter_mac,
        **{f"nvs.{key}": True for key in spec.nvs},
    }


def _require(image: Path) -> None:
    if not image.is_file():
        raise HostError(f"the firmware image {image} does not exist", hint="was it built?")


__all__ = ["NodeError", "QemuBackend"]
