"""The emulator's command line: a template with `{mac}`, `{overlay}` and what the guest is told, filled in at launch.

The guest is told its place in the run three times over, so that each finds it where it looks: on the kernel's command
line (the kernel gives what it does not know itself to the first program as environment variables), as files of QEMU's
firmware configuration device (fw_cfg), and by DHCP.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from swarmrig.api.nodes import LaunchContext
from swarmrig.nodes.emulator.process import CONSOLE_FD, MEMORY_FD, MONITOR_FD, NETWORK_FD
from swarmrig.nodes.emulator.quoting import plain, value
from swarmrig.nodes.settings import place_variables
from swarmrig.nodes.vm.options import Accelerator, VmOptions
from swarmrig.nodes.vm.setup import Setup

FW_CFG = "opt/org.swarmrig"
"""QEMU wants names of others than itself below opt/ and a reversed domain name (docs/specs/fw_cfg.txt)."""
TOLD = ("SWARMRIG_NODE", "SWARMRIG_ADDRESS", "SWARMRIG_TARGET", "SWARMRIG_AGGREGATOR", "SWARMRIG_PORT")
INTERFACE = "eth0"


def command_template(setup: Setup) -> tuple[str, ...]:
    """The exact command, but for what only launch knows."""
    return (
        plain(str(setup.emulator)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-name", f"guest={value(setup.spec.id)}"),
        *_machine(setup),
        *_kernel(setup.options),
        *_disk(setup),
        *_lines(),
        *("-netdev", f"dgram,id=net,local.type=fd,local.str={NETWORK_FD}"),
        *("-device", "virtio-net-pci,netdev=net,mac={mac},romfile="),  # without the boot ROM: it boots from elsewhere
        *("-device", "virtio-rng-pci"),
        *(word for name in TOLD for word in ("-fw_cfg", f"name={_file(name)},string={{{name}}}")),
    )


def fill_in(template: tuple[str, ...], context: LaunchContext, overlay: Path) -> list[str]:
    """The command to execute."""
    values: Mapping[str, str] = {
        **place_variables(context),
        "mac": context.device.mac,
        "ip": ip_argument(context),
        "overlay": str(overlay).replace(",", ",,"),
    }
    return [word.format_map(values) for word in template]


def ip_argument(context: LaunchContext) -> str:
    """The guest's address for its kernel, or for what runs in its initrd.

    Format: Documentation/admin-guide/nfs/nfsroot.rst of the kernel.
    """
    device = context.device
    mask = ipaddress.IPv4Network((0, device.prefix)).netmask
    return f"ip={device.ip}::{device.gateway or ''}:{mask}:{device.name}:{INTERFACE}:off"


def _machine(setup: Setup) -> Iterator[str]:
    emulated = setup.accelerator is Accelerator.TCG
    yield from ("-machine", "q35")
    yield from ("-accel", "tcg,tb-size=128" if emulated else "kvm")
    yield from ("-cpu", "max" if emulated else "host")
    yield from ("-smp", str(setup.options.cpus), "-m", f"{setup.options.memory >> 20}M")


def _kernel(options: VmOptions) -> Iterator[str]:
    if options.kernel is None:
        return
    yield from ("-kernel", plain(str(options.kernel)))
    if options.initrd is not None:
        yield from ("-initrd", value(str(options.initrd)))
    given = options.append.split()
    words = [plain(options.append)]
    if not any(word.startswith("console=") for word in given):
        words.append("console=ttyS0")
    if not any(word.startswith("ip=") for word in given):
        words.append("{ip}")
    yield from ("-append", " ".join([*words, *(f"{name}={{{name}}}" for name in TOLD)]))


def _disk(setup: Setup) -> Iterator[str]:
    if setup.disk is None:
        return
    # What the guest flushes goes to this machine's kernel, which outlives the emulator; not to its disk.
    yield from ("-drive", "if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={overlay}")
    yield from ("-device", "virtio-blk-pci,drive=disk")


def _lines() -> Iterator[str]:
    yield from ("-chardev", f"socket,id=console,fd={CONSOLE_FD}", "-serial", "chardev:console")
    yield from ("-chardev", f"socket,id=monitor,fd={MONITOR_FD}", "-mon", "chardev=monitor,mode=control")
    yield from ("-chardev", f"socket,id=memory,fd={MEMORY_FD}")
    yield from ("-object", "qtest,id=memory,chardev=memory,log=none")


def _file(variable: str) -> str:
    return f"{FW_CFG}/{variable.removeprefix('SWARMRIG_').lower()}"
