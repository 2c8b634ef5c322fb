"""The emulator's command line: a template with `{flash}`, `{efuse}` and `{mac}`, filled in at launch.

Everything that talks to the rig is passed as an open file descriptor with a fixed number, so there are no socket
paths and no listening ports. What a user wrote gets there only escaped: QEMU ends an option's value at a comma unless
it is doubled, and the template's braces are doubled too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from swarmrig.model.scenario import NetworkMode, Scenario
from swarmrig.net.usermode import LISTEN_IP, forwarded_port
from swarmrig.nodes.emulator.process import CONSOLE_FD, MEMORY_FD, MONITOR_FD, NETWORK_FD
from swarmrig.nodes.emulator.quoting import plain, value
from swarmrig.nodes.qemu.machines import MIB, Nic, Storage
from swarmrig.nodes.qemu.setup import Setup
from swarmrig.nodes.qemu.virtual import EPOCH, ICOUNT_SHIFT, TRANSMIT_DELAY_NS, Lockstep
from swarmrig.timebase.plugin import plugin_option

MEMORY_FILE = ",memory-backend=flash"
"""The machine's memory is the flash image, mapped: what the guest writes is in the file at once."""

STATE_FD = 7
"""The file with the state of the machine to begin with."""


def command_template(setup: Setup, forward: str | None = None, lockstep: Lockstep | None = None) -> tuple[str, ...]:
    """The exact command, but for what only launch knows. `forward`: see `forward_rule`; `lockstep`: in virtual time."""
    return (
        plain(str(setup.emulator)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-name", f"guest={value(setup.spec.id)}"),
        *_machine(setup),
        *_image(setup),
        *_storage(setup),
        *(_descriptors(setup) if lockstep is None else _virtual_descriptors(setup)),
        *(_network(setup, forward) if lockstep is None else _virtual_network(setup)),
        *(_clock(setup, lockstep) if lockstep is not None else ()),
        *(plain(word) for word in setup.options.args),
    )


def forward_rule(scenario: Scenario, number: int) -> str | None:
    """How QEMU's own NAT, when it is the network, forwards a port of the host to node `number`; else None."""
    if scenario.network.mode is not NetworkMode.USER:
        return None
    return f"udp:{LISTEN_IP}:{forwarded_port(scenario, number)}-:{scenario.aggregator_port}"


def fill_in(template: tuple[str, ...], *, mac: str, flash: Path, efuse: Path) -> list[str]:
    """The command to execute."""
    values: Mapping[str, str] = {
        "mac": mac,
        "flash": str(flash).replace(",", ",,"),
        "efuse": str(efuse).replace(",", ",,"),
    }
    return [word.format_map(values) for word in template]


def debugger_stub(port: int) -> list[str]:
    """Further words, for a stub of gdb's protocol that this machine alone can reach."""
    return ["-gdb", f"tcp:127.0.0.1:{port}"]


def go_on_from_state() -> list[str]:
    """Further words, to begin with the state of a machine that is read from STATE_FD; without the frames by which QEMU
    tells switches after a migration where the guest is."""
    return ["-incoming", f"fd:{STATE_FD}", "-global", "migration.announce-rounds=0"]


def _machine(setup: Setup) -> Iterator[str]:
    machine, options = setup.machine, setup.options
    yield from ("-machine", setup.qemu_machine + (MEMORY_FILE if machine.storage is Storage.MEMORY_FILE else ""))
    # A small translation buffer: firmware is small, and a fleet of the default ones fills the memory.
    yield from ("-accel", "tcg,tb-size=8")
    if options.cpu:
        yield from ("-cpu", options.cpu)
    memory = options.memory or machine.memory_bytes
    if memory:
        yield from ("-m", f"{memory >> 20}M" if memory % MIB == 0 else f"{memory >> 10}k")
    for setting in machine.properties:
        yield from ("-global", setting)
    if machine.halts_on_reboot:
        yield from ("-no-reboot", "-no-shutdown")
    yield from machine.arguments


def _image(setup: Setup) -> Iterator[str]:
    if setup.image is None:
        return
    if setup.options.bios == "none":
        yield from ("-bios", "none")
    if setup.load == "loader":
        yield from ("-device", f"loader,file={value(str(setup.image))}")
    else:
        yield from (f"-{setup.load}", plain(str(setup.image)))


def _storage(setup: Setup) -> Iterator[str]:
    if setup.machine.storage is Storage.PFLASH:
        yield from ("-drive", "if=pflash,unit=1,format=raw,file={flash}")
    elif setup.machine.storage is Storage.MEMORY_FILE:
        size = f"{setup.machine.flash_bytes >> 20}M"
        yield from ("-object", f"memory-backend-file,id=flash,size={size},share=on,mem-path={{flash}}")
    elif setup.machine.storage is Storage.ESP_FLASH:
        yield from ("-drive", "if=mtd,format=raw,file={flash}")
        if setup.options.factory_mac:
            yield from ("-drive", "if=none,format=raw,id=efuse,file={efuse}")
            yield from ("-global", f"driver=nvram.{setup.machine.name}.efuse,property=drive,value=efuse")


def _descriptors(setup: Setup) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=console,fd={CONSOLE_FD}")
    yield from _console_and_monitor(setup)
    if setup.machine.memory_access:
        yield from (
            "-chardev",
            f"socket,id=memory,fd={MEMORY_FD}",
            "-object",
            "qtest,id=memory,chardev=memory,log=none",
        )


def _virtual_descriptors(setup: Setup) -> Iterator[str]:
    """The plugin has the console, and access to memory at an exact time."""
    yield from ("-chardev", "null,id=console")
    yield from _console_and_monitor(setup)


def _console_and_monitor(setup: Setup) -> Iterator[str]:
    for _ in range(setup.options.console):
        yield from ("-serial", "null")
    yield from ("-serial", "chardev:console")
    yield from ("-chardev", f"socket,id=monitor,fd={MONITOR_FD}", "-mon", "chardev=monitor,mode=control")


def _network(setup: Setup, forward: str | None) -> Iterator[str]:
    if setup.nic is None:
        return
    if forward is None:
        yield from ("-netdev", f"dgram,id=net,local.type=fd,local.str={NETWORK_FD}")
    else:  # as in the rig's own network, nobody advertises IPv6
        yield from ("-netdev", f"user,id=net,ipv6=off,hostfwd={forward}")
        yield from ("-object", f"filter-dump,id=dump,netdev=net,file=/proc/self/fd/{NETWORK_FD}")
    yield from _network_device(setup.nic)


def _network_device(nic: Nic, properties: str = "") -> Iterator[str]:
    if nic.onboard:
        yield from ("-net", f"nic,netdev=net,model={nic.model},macaddr={{mac}}")
    else:
        yield from ("-device", f"{nic.model},netdev=net,mac={{mac}}{properties}")


def _virtual_network(setup: Setup) -> Iterator[str]:
    """The plugin is the other end. What would make the main loop handle frames, at no exact time, is off."""
    if setup.nic is None:
        return
    yield from ("-netdev", "hubport,id=net,hubid=0")
    if setup.nic.onboard:
        yield from _network_device(setup.nic)
    else:
        yield from ("-global", "virtio-mmio.ioeventfd=off")
        yield from _network_device(setup.nic, f",tx=timer,x-txtimer={TRANSMIT_DELAY_NS}")


def _clock(setup: Setup, lockstep: Lockstep) -> Iterator[str]:
    """No clock and no randomness of this machine; the plugin says how far the guest may go.

    Guests are not pinned to cores: next to the coordinator, or on a busy machine, that made them slower.
    """
    yield from ("-icount", f"shift={ICOUNT_SHIFT},sleep=off", "-rtc", f"base={EPOCH},clock=vm")
    yield from ("-seed", str(lockstep.seed))
    # A state that is saved while the machine is held does not say so: who loads it goes on at once.
    yield from ("-global", "migration.store-global-state=off")
    netdev = None if setup.nic is None else "net"
    plugin = plugin_option(lockstep.library, NETWORK_FD, netdev=netdev, console="console")
    yield from ("-plugin", plain(plugin))
