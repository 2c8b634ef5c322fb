"""The catalogue of machines: all that differs between the devices that QEMU can be, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MIB = 1 << 20


class Storage(StrEnum):
    """What a node is provisioned through."""

    NONE = "none"
    PFLASH = "pflash"  # parallel NOR flash, unit 1 of riscv `virt`
    MEMORY_FILE = "memory file"  # the machine's main memory, backed by the image: the reference firmware's flash
    ESP_FLASH = "esp flash"  # the SPI flash of an ESP32 machine: 2, 4, 8 or 16 MiB, boots from it


@dataclass(frozen=True, slots=True)
class Nic:
    """The one network interface: a device to add, or one that the board has (QEMU's `-net nic`)."""

    model: str
    onboard: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """How a device is emulated. `architecture` is QEMU's name of the target; "" lets the options say it."""

    name: str
    architecture: str
    qemu_machine: str
    help: str
    memory_bytes: int = 0
    """0 leaves it to QEMU's machine."""
    storage: Storage = Storage.NONE
    flash_bytes: int = 0
    """Size of its flash image; 0 where the content decides."""
    nic: Nic | None = None
    arguments: tuple[str, ...] = ()
    """Fixed further arguments."""
    reference_firmware: bool = False
    """The package brings firmware for it."""
    esp_chip_id: int | None = None
    """Chip id in the header of a bootable image (ESP-IDF, esp_chip_id_t)."""
    dhcp: bool = False
    """Its firmware learns its address by DHCP."""
    memory_access: bool = True
    """Its memory can be read and written while it runs (QEMU's qtest object)."""
    halts_on_reboot: bool = False
    """Runs with -no-reboot -no-shutdown: when the guest reboots, the machine stops and the emulator stays."""
    install_hint: str = ""
    properties: tuple[str, ...] = field(default=())
    """QEMU -global settings."""


_ESP_HINT = (
    "Espressif's fork of QEMU is needed (github.com/espressif/qemu, releases); name its binary with "
    "--qemu-path or `machine_binary:`"
)


def _esp(name: str, architecture: str, chip_id: int) -> Machine:
    return Machine(
        name=name,
        architecture=architecture,
        qemu_machine=name,
        help=f"{name.upper().replace('ESP32', 'ESP32-')} in Espressif's QEMU; boots from a flash image",
        storage=Storage.ESP_FLASH,
        nic=Nic("open_eth", onboard=True),
        esp_chip_id=chip_id,
        dhcp=True,
        memory_access=False,
        halts_on_reboot=True,
        install_hint=_ESP_HINT,
        # The emulated watchdogs count host time and bite on a busy host.
        properties=(f"driver=timer.{name}.timg,property=wdt_disable,value=true",),
    )


MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine(
            name="refnode-rv32",
            architecture="riscv32",
            qemu_machine="virt",
            help="the reference device: riscv32, virtio-net, NS16550 console, 32 MiB of flash",
            memory_bytes=16 * MIB,
            storage=Storage.PFLASH,
            flash_bytes=32 * MIB,
            nic=Nic("virtio-net-device"),
            reference_firmware=True,
            install_hint="apt install qemu-system-misc (newer distributions: qemu-system-riscv)",
            properties=("virtio-mmio.force-legacy=off",),
        ),
        Machine(
            name="refnode-arm",
            architecture="arm",
            qemu_machine="mps2-an385",
            help="the reference device: Cortex-M3, LAN9118, CMSDK console, 16 MiB of flash",
            memory_bytes=16 * MIB,
            storage=Storage.MEMORY_FILE,
            flash_bytes=16 * MIB,
            nic=Nic("lan9118", onboard=True),
            reference_firmware=True,
            install_hint="apt install qemu-system-arm",
        ),
        _esp("esp32s3", "xtensa", 9),
        _esp("esp32c3", "riscv32", 5),
        Machine(
            name="generic",
            architecture="",
            qemu_machine="",
            help="any bare-metal or kernel image on the QEMU machine that `qemu_machine:` names",
        ),
    )
}
