"""Nodes that QEMU emulates."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import anyio.to_thread

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.errors import HostError, NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario, TimeMode
from swarmrig.nodes.console import open_console
from swarmrig.nodes.qemu import virtual
from swarmrig.nodes.qemu.command import (
    CONSOLE_FD,
    MEMORY_FD,
    MONITOR_FD,
    NETWORK_FD,
    command_template,
    debugger_stub,
    fill_in,
    forward_rule,
)
from swarmrig.nodes.qemu.machines import MACHINES, MIB, Machine, Storage
from swarmrig.nodes.qemu.memory import GuestMemory
from swarmrig.nodes.qemu.memory_map import memory_map
from swarmrig.nodes.qemu.monitor import greeted, open_monitor
from swarmrig.nodes.qemu.node import EmulatorNode, QemuMemoryNode, QemuNode
from swarmrig.nodes.qemu.options import QemuOptions
from swarmrig.nodes.qemu.provenance import provenance
from swarmrig.nodes.qemu.provisioning import differences, efuse_path, flash_path, provision
from swarmrig.nodes.qemu.setup import Setup, check_loadable, resolve
from swarmrig.nodes.qemu.virtual import Lockstep
from swarmrig.proc import StopLadder, wait_until_ready

START_DEADLINE_S = 15.0
"""How long an emulator may take to greet; a dead one is noticed at once, this is for those that hang."""
STOP = StopLadder(polite_s=0.0, term_s=1.5, kill_s=2.0)
"""SIGTERM is QEMU's polite request: it flushes its disks and exits."""
STOP_IN_VIRTUAL_TIME = StopLadder(polite_s=0.5, term_s=0.5, kill_s=2.0)
"""An emulator that waits for its coordinator hears no SIGTERM, so not much time is given to that."""
FILE_SIZE_LIMIT = 128 * MIB
"""More than any flash; an emulator that floods its stderr ends here."""
EMULATOR_OVERHEAD = 24 * MIB


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
            capabilities=_capabilities(setup, lockstep),
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
        port = _Descriptor(context.port_fd)
        with port:
            setup = resolve(plan.spec, self.machines)
            if setup.image is not None:
                _require(setup.image)
                check_loadable(plan.spec, setup.image, setup.architecture)
            await anyio.to_thread.run_sync(provision, setup, plan, context)
            if plan.port is PortKind.LOCKSTEP:
                running = _in_virtual_time(plan, context, port)
            else:
                command = command_template(setup, forward_rule(context.scenario, plan.spec.number))
                running = _running(setup, command, context, port)
            async with running as node:
                yield node

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:
        """What the node is made of, by digest."""
        return provenance(resolve(plan.spec, self.machines), plan, context)

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:
        """How the NVS in the node's flash differs from what was provisioned."""
        if self.machines[plan.spec.machine].storage is Storage.NONE:
            return []
        return differences(plan, context)


@asynccontextmanager
async def _running(
    setup: Setup, template: tuple[str, ...], context: LaunchContext, port: _Descriptor
) -> AsyncIterator[QemuNode]:
    node_id = setup.spec.id
    command = _prepared(template, context)
    with ExitStack() as stack:
        lines = _Lines.open(stack, CONSOLE_FD, MONITOR_FD, MEMORY_FD)
        console = stack.enter_context(
            open_console(
                node_id,
                lines.ours[CONSOLE_FD],
                context.directory / "console.log",
                lambda chunk: context.on_console(node_id, context.now_ns(), chunk),
            )
        )
        async with (
            open_monitor(node_id, lines.ours[MONITOR_FD]) as monitor,
            context.spawner.process(
                command,
                name=node_id,
                fds={**lines.childs, **port.for_child(NETWORK_FD)},
                stderr=context.directory / "stderr.log",
                stop=STOP,
                file_size_limit=FILE_SIZE_LIMIT,
            ) as process,
        ):
            lines.close_childs()
            port.close()
            monitor_line = lines.ours[MONITOR_FD]
            await wait_until_ready(process, lambda: greeted(monitor_line), deadline_s=START_DEADLINE_S, what="started")
            halts = setup.machine.halts_on_reboot
            if setup.machine.memory_access:
                memory = GuestMemory(node_id, lines.ours[MEMORY_FD])
                yield QemuMemoryNode(setup.spec, process, console, monitor, memory, halts_on_reboot=halts)
            else:
                yield QemuNode(setup.spec, process, console, monitor, halts_on_reboot=halts)
    if console.failure:
        raise HostError(f"the console of {node_id} could not be logged on: {console.failure.strerror}")


@asynccontextmanager
async def _in_virtual_time(plan: NodePlan, context: LaunchContext, port: _Descriptor) -> AsyncIterator[EmulatorNode]:
    """Console, network and time go through the port. The monitor answers only while the coordinator holds the guest."""
    command = _prepared(plan.command, context)
    with ExitStack() as stack:
        lines = _Lines.open(stack, MONITOR_FD)
        async with context.spawner.process(
            command,
            name=plan.spec.id,
            fds={**lines.childs, **port.for_child(NETWORK_FD)},
            stderr=context.directory / "stderr.log",
            polite=_end_of_channel,
            stop=STOP_IN_VIRTUAL_TIME,
            file_size_limit=FILE_SIZE_LIMIT,
        ) as process:
            lines.close_childs()
            port.close()
            yield EmulatorNode(plan.spec, process)


async def _end_of_channel() -> None:
    """Nothing to ask: the coordinator has closed the channel, and the emulator ends by itself."""


def _prepared(template: tuple[str, ...], context: LaunchContext) -> list[str]:
    """The command to execute, written down."""
    directory = context.directory
    command = fill_in(template, mac=context.device.mac, flash=flash_path(directory), efuse=efuse_path(directory))
    if context.debugger_port is not None:
        command += debugger_stub(context.debugger_port)
    _write_argv(directory / "argv", command)
    return command


@dataclass
class _Lines:
    """The connections between rig and emulator, by descriptor number: our ends, and the emulator's."""

    ours: dict[int, socket.socket]
    childs: dict[int, socket.socket]

    @classmethod
    def open(cls, stack: ExitStack, *numbers: int) -> _Lines:
        lines = cls({}, {})
        for number in numbers:
            lines.ours[number], lines.childs[number] = socket.socketpair()
            stack.enter_context(lines.ours[number])
            stack.enter_context(lines.childs[number])
        return lines

    def close_childs(self) -> None:
        """Ours of the emulator's ends; without them, its end is the end of the connection."""
        for sock in self.childs.values():
            sock.close()


class _Descriptor:
    """Owns a file descriptor that may be absent; closed at the latest when its context ends."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.close()

    def for_child(self, number: int) -> dict[int, int]:
        return {} if self._fd is None else {number: self._fd}

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _port(forward: str | None, lockstep: Lockstep | None) -> PortKind:
    if lockstep is not None:
        return PortKind.LOCKSTEP
    return PortKind.PACKET if forward is None else PortKind.USER


def _capabilities(setup: Setup, lockstep: Lockstep | None) -> frozenset[str]:
    if lockstep is not None:
        return frozenset({"CanKill"})
    names = {"HasConsole", "CanPause", "CanReset", "CanKill"}
    return frozenset(names | {"HasMemory"} if setup.machine.memory_access else names)


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


def _write_argv(path: Path, command: Sequence[str]) -> None:
    try:
        path.write_text(shlex.join(command) + "\n", encoding="utf-8")
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


__all__ = ["NodeError", "QemuBackend"]
